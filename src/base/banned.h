/*
 * Calls that have a safer form in this project do not compile.  The headers
 * that declare them come first, and where one of them is a macro the macro
 * goes.
 */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#undef strcpy
#undef strcat
#undef sprintf
#undef vsprintf

#pragma GCC poison strcpy strcat sprintf vsprintf strtok atoi atol atoll
#pragma GCC poison gmtime localtime ctime asctime srand tmpnam

/* Headers of OpenSSL have parameters of this name, so it cannot be poisoned. */
int rand(void) __attribute__((deprecated("use random_bytes()")));
