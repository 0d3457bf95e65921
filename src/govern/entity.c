#include "govern/entity.h"

#include "base/clock.h"
#include "base/mem.h"

json_t *entity_uid(const char *type, const char *id)
{
	json_t *uid = json_object();
	char full[64];

	snprintf(full, sizeof(full), "Gov::%s", type);
	json_set_text(uid, "type", full);
	json_set_text(uid, "id", id);
	return uid;
}

json_t *entity_ref(const char *type, const char *id)
{
	json_t *ref = json_object();

	json_set_new(ref, "__entity", entity_uid(type, id));
	return ref;
}

json_t *entity_refs(const char *type, const json_t *names)
{
	json_t *out = json_array();
	const json_t *name;
	size_t at;

	json_array_foreach(names, at, name)
		json_array_append_new(
			out, entity_ref(type, json_string_value(name)));
	return out;
}

static json_t *extension(const char *function, const char *argument)
{
	json_t *call = json_object();
	json_t *value = json_object();

	json_set_text(call, "fn", function);
	json_set_text(call, "arg", argument);
	json_set_new(value, "__extn", call);
	return value;
}

json_t *entity_duration(const char *text)
{
	return extension("duration", text);
}

json_t *entity_seconds(int64_t seconds)
{
	CLEANUP(mem_free_p) char *text = clock_format_duration(seconds);

	return extension("duration", text);
}

json_t *entity_time(int64_t wall_ms)
{
	char text[CLOCK_TEXT_LEN];

	clock_format(wall_ms, text);
	return extension("datetime", text);
}

json_t *entity_new(const char *type, const char *id)
{
	json_t *e = json_object();

	json_set_new(e, "uid", entity_uid(type, id));
	json_set_new(e, "attrs", json_object());
	json_set_new(e, "parents", json_array());
	return e;
}

void entity_attr(json_t *entity, const char *name, json_t *value)
{
	json_set_new(json_object_get(entity, "attrs"), name, value);
}

void entity_parents(json_t *entity, const char *type, const json_t *names)
{
	json_t *parents = json_object_get(entity, "parents");
	const json_t *name;
	size_t at;

	json_array_foreach(names, at, name)
		json_array_append_new(
			parents, entity_uid(type, json_string_value(name)));
}
