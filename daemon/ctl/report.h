/* report: a report as a page of its own. */
#pragma once
#include <jansson.h>
#include <stdio.h>

/* One file without anything from elsewhere: light and dark, also on paper. report: of report_json.
 */
void report_html(const json_t *report, FILE *to);
