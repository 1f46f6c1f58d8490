/* A fuzz target's main without libFuzzer: runs every file of the given corpus directories once, so
 * that any compiler's plain test run replays them. Prints TAP. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int run_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	if (!f || fseek(f, 0, SEEK_END) != 0)
		return -1;
	long size = ftell(f);
	rewind(f);
	/* of its exact size, so that a sanitizer sees a read past the end */
	uint8_t *data = malloc(size > 0 ? (size_t)size : 1);
	if (!data || size < 0 || fread(data, 1, (size_t)size, f) != (size_t)size)
		return -1;
	fclose(f);
	LLVMFuzzerTestOneInput(data, (size_t)size);
	free(data);
	return 0;
}

static int run_folder(const char *folder)
{
	struct dirent **entry;
	int count = scandir(folder, &entry, NULL, alphasort), run = 0;
	for (int i = 0; i < count; i++) {
		char path[4096];
		snprintf(path, sizeof path, "%s/%s", folder, entry[i]->d_name);
		if (entry[i]->d_name[0] != '.') {
			if (run_file(path) != 0) {
				perror(path);
				exit(1);
			}
			run++;
		}
		free(entry[i]);
	}
	if (count >= 0)
		free(entry);
	return run;
}

int main(int argc, char **argv)
{
	int failed = 0;
	printf("1..%d\n", argc - 1);
	for (int i = 1; i < argc; i++) {
		int run = run_folder(argv[i]);
		printf("%s %d - %s: %d files\n", run > 0 ? "ok" : "not ok", i, argv[i], run);
		failed += run == 0;
	}
	return failed > 0;
}
