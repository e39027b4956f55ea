/* Between lane.c (batches) and lane_socket.c (how the second socket comes to be). */
#pragma once
#include "lane.h"

/* A nonblocking socket on the address of `nice_fd`, with the split and GRO set up. */
int ww_lane_socket_open(int nice_fd, int *fd);
