/* exposition: the daemon's answer to the command metrics, in the text format of Prometheus
 * (exposition format 0.0.4). Of who asks, not of the daemon. */
#pragma once
#include <jansson.h>
#include <stdio.h>

#define EXPOSITION_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* result: the answer's; NULL writes nothing. */
void exposition_put(FILE *to, const json_t *result);
