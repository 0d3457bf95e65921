/* Paths below /log/: what is taken has exactly one form. */
#include "base/mem.h"
#include "evidence/tile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char path[256];
	char again[TILE_PATH_MAX];
	struct tile_id id;

	if (size >= sizeof(path))
		return 0;
	memcpy(path, data, size);
	path[size] = '\0';
	if (tile_parse(path, &id) < 0)
		return 0;
	tile_format(&id, again);
	if (strcmp(path, again) != 0 || id.width < 1 || id.width > TILE_WIDTH)
		abort();
	discard(tile_is_within(&id, UINT64_MAX));
	return 0;
}
