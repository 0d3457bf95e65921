/* frame_read() on any stream: it ends, and never hands out more than came in.
 */
#include "base/frame.h"

#include <sys/mman.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(fd_close_p) int fd = memfd_create("stream", MFD_CLOEXEC);
	CLEANUP(buf_clear) struct buf body = BUF_INIT(FRAME_MAX);
	size_t seen = 0;
	bool end = false;

	if (fd < 0 || write(fd, data, size) != (ssize_t)size ||
	    lseek(fd, 0, SEEK_SET) != 0)
		return 0;
	while (frame_read(fd, &body, &end) == 0 && !end)
		seen += 4 + body.len;
	if (seen > size || (end && seen != size))
		abort();
	return 0;
}
