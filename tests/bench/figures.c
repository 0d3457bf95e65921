#include "figures.h"

#include "base/mem.h"

enum { US_PER_S = 1000000, US_PER_MS = 1000 };

int64_t figures_now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * US_PER_S + now.tv_nsec / 1000;
}

void figures_open(struct figures *f, size_t max)
{
	*f = (struct figures){ .us = mem_array(max, sizeof(*f->us)),
			       .max = max,
			       .began_us = figures_now_us() };
}

void figures_add(struct figures *f, int64_t us)
{
	if (f->count < f->max)
		f->us[f->count++] = us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;
}

void figures_close(struct figures *f)
{
	free(f->us);
	f->us = NULL;
}

static int compare(const void *a, const void *b)
{
	const uint32_t *left = a, *right = b;

	return (*left > *right) - (*left < *right);
}

/* The time that part of 100 are not above. */
static int64_t percentile(const struct figures *f, size_t part)
{
	return f->count ? f->us[(f->count - 1) * part / 100] : 0;
}

json_t *figures_report(struct figures *f)
{
	int64_t took = figures_now_us() - f->began_us;
	json_t *report = json_object();

	qsort(f->us, f->count, sizeof(*f->us), compare);
	json_set_int(report, "count", (int64_t)f->count);
	json_set_int(report, "milliseconds", took / US_PER_MS);
	json_set_int(report, "perSecond",
		     took ? (int64_t)f->count * US_PER_S / took : 0);
	json_set_int(report, "p50Us", percentile(f, 50));
	json_set_int(report, "p99Us", percentile(f, 99));
	json_set_int(report, "maxUs", percentile(f, 100));
	return report;
}

void figures_print(json_t *value)
{
	CLEANUP(json_put_p) json_t *owned = value;
	CLEANUP(mem_free_p) char *text = json_canonical(owned);

	puts(text);
}
