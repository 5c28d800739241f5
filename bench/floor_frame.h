#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace fairlead::bench {

// What the floor pipe and the rivals (bench/rivals) put into a message's bytes, one event after the
// other: six fields, each with its length before it.
struct FloorEvent {
  std::string_view type;  // ADDED, MODIFIED, DELETED
  std::string_view name_space;
  std::string_view name;
  std::string_view uid;
  std::string_view resource_version;
  std::string_view object;  // of the floor pipe: the whole line of the watch
};

inline void AppendField(std::string_view field, std::string* out) {
  const auto size = static_cast<uint32_t>(field.size());
  out->append(reinterpret_cast<const char*>(&size), sizeof size);
  out->append(field);
}

inline void AppendFloorEvent(const FloorEvent& event, std::string* out) {
  for (const std::string_view field : {event.type, event.name_space, event.name, event.uid,
                                       event.resource_version, event.object}) {
    AppendField(field, out);
  }
}

inline bool TakeField(std::string_view* from, std::string_view* field) {
  uint32_t size = 0;
  if (from->size() < sizeof size) return false;
  std::memcpy(&size, from->data(), sizeof size);
  from->remove_prefix(sizeof size);
  if (from->size() < size) return false;
  *field = from->substr(0, size);
  from->remove_prefix(size);
  return true;
}

// False at the end, or when what is left is no event.
inline bool TakeFloorEvent(std::string_view* from, FloorEvent* event) {
  return TakeField(from, &event->type) && TakeField(from, &event->name_space) &&
         TakeField(from, &event->name) && TakeField(from, &event->uid) &&
         TakeField(from, &event->resource_version) && TakeField(from, &event->object);
}

}  // namespace fairlead::bench
