/* writ: the command line of the authority. */
#include "cli/commands.h"

int main(int argc, char **argv)
{
	return cli_main(&commands, argc, (const char *const *)(uintptr_t)argv,
			stdin, stdout, stderr);
}
