/* Between sctp_stack.c (the process-wide part) and sctp.c (associations). */
#pragma once
#include "sctp.h"

/* usrsctp's upcall, on to the owner. */
void ww_sctp_stack_ready(uint64_t id);
