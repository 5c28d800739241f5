// Object view and splice against jsoncpp: what the view accepts is JSON, and cutting bytes equals
// cutting a DOM.
#include "lib/json/object_view.h"

#include <cstdint>
#include <cstdlib>

#include "lib/json/dom.h"
#include "lib/json/walker.h"

namespace {

using fairlead::json::CutRules;
using fairlead::json::ObjectReader;
using fairlead::json::ParseJson;
using fairlead::json::WriteJson;

void Remove(Json::Value* object, const char* key) {
  if (object->isObject()) object->removeMember(key);
}

Json::Value CutDom(Json::Value object, const CutRules& rules) {
  Remove(&object, "apiVersion");
  Remove(&object, "kind");
  if (rules.secret_data) {
    Remove(&object, "data");
    Remove(&object, "stringData");
  }
  Json::Value& metadata = object["metadata"];
  Remove(&metadata, "resourceVersion");
  Remove(&metadata, "managedFields");
  if (metadata.isMember("annotations")) {
    Remove(&metadata["annotations"], "kubectl.kubernetes.io/last-applied-configuration");
  }
  return object;
}

void CheckObject(std::string_view text, const CutRules& rules) {
  ObjectReader reader;
  auto view = reader.ReadObject(text, rules);
  if (view.ok()) {
    fairlead::json::StructuralIndex index;
    if (!CheckJson(text, &index).ok()) std::abort();
  }
  auto dom = ParseJson(text);
  // The DOM refuses more: duplicates at any level, numbers out of range, deeper nesting.
  if (!view.ok() || !dom.ok()) return;
  if (view->name != (*dom)["metadata"]["name"].asString()) std::abort();
  std::string spliced;
  Splice(view->text, view->cuts, &spliced);
  if (SplicedSize(view->text, view->cuts) != spliced.size()) std::abort();
  auto cut = ParseJson(spliced);
  if (!cut.ok() || WriteJson(*cut) != WriteJson(CutDom(*dom, rules))) std::abort();
  // Cutting twice changes nothing.
  auto again = reader.ReadObject(spliced, rules);
  if (!again.ok() || !again->cuts.empty()) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string text(reinterpret_cast<const char*>(data) + 1, size - 1);
  CheckObject(text, {.secret_data = (data[0] & 1) != 0});
  ObjectReader reader;
  auto event = reader.ReadWatchEvent(text, {});
  if (event.ok() && ParseJson(text).ok()) {
    std::string spliced;
    Splice(event->object.text, event->object.cuts, &spliced);
    if (!ParseJson(spliced).ok()) std::abort();
  }
  return 0;
}
