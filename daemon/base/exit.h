/* exit: how all our programs end. */
#pragma once

enum {
	EXIT_DONE,
	EXIT_NO,     /* the answer is no: a check failed, a configuration is bad */
	EXIT_USAGE,  /* called in a way that is none */
	EXIT_CANNOT, /* could not run */
};
