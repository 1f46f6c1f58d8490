#include "control/exposition.h"

#include <stdbool.h>

static const char *text(const json_t *j, const char *key)
{
	const char *t = json_string_value(json_object_get(j, key));
	return t ? t : "";
}

/* Backslashes and ends of lines, and in a label's value quotes, are escaped. */
static void put_escaped(FILE *to, const char *from, bool quotes)
{
	for (; from && *from; from++) {
		if (*from == '\n')
			fputs("\\n", to);
		else if (*from == '\\' || (quotes && *from == '"'))
			fprintf(to, "\\%c", *from);
		else
			putc(*from, to);
	}
}

static void put_labels(FILE *to, const json_t *labels)
{
	const char *key, *before = "{";
	json_t *value;
	json_object_foreach((json_t *)labels, key, value)
	{
		fprintf(to, "%s%s=\"", before, key);
		put_escaped(to, json_string_value(value), true);
		fputs("\"", to);
		before = ",";
	}
	if (json_object_size(labels))
		fputs("}", to);
}

static void put_family(FILE *to, const json_t *family)
{
	const char *name = text(family, "name");
	size_t i;
	json_t *s;
	fprintf(to, "# HELP %s ", name);
	put_escaped(to, text(family, "help"), false);
	fprintf(to, "\n# TYPE %s %s\n", name, text(family, "type"));
	json_array_foreach(json_object_get(family, "samples"), i, s)
	{
		fprintf(to, "%s%s", name, text(s, "end"));
		put_labels(to, json_object_get(s, "labels"));
		fprintf(to, " %.17g\n", json_number_value(json_object_get(s, "value")));
	}
}

void exposition_put(FILE *to, const json_t *result)
{
	size_t i;
	json_t *family;
	json_array_foreach(json_object_get(result, "families"), i, family) put_family(to, family);
}
