#include "unit/fakes/fake_hub.h"

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <utility>

#include "lib/base/strings.h"
#include "lib/json/dom.h"
#include "lib/net/http_server.h"

namespace fairlead::fakes {
namespace {

using base::StrCat;

const char kForeground[] = "foregroundDeletion";

// Paths of everything in `intent` that is no object; lists are whole.
void Leaves(const Json::Value& intent, std::vector<std::string>* at,
            std::vector<std::vector<std::string>>* out) {
  if (!intent.isObject() || intent.empty()) {
    out->push_back(*at);
    return;
  }
  for (const std::string& name : intent.getMemberNames()) {
    at->push_back(name);
    Leaves(intent[name], at, out);
    at->pop_back();
  }
}

bool Has(const Json::Value& value, const std::vector<std::string>& path) {
  const Json::Value* at = &value;
  for (const std::string& name : path) {
    if (!at->isObject() || !at->isMember(name)) return false;
    at = &(*at)[name];
  }
  return true;
}

// Removes the member and the objects that become empty by it.
void Drop(Json::Value* value, const std::vector<std::string>& path, size_t from = 0) {
  if (!value->isObject() || !value->isMember(path[from])) return;
  if (from + 1 == path.size()) {
    value->removeMember(path[from]);
    return;
  }
  Drop(&(*value)[path[from]], path, from + 1);
  if ((*value)[path[from]].empty()) value->removeMember(path[from]);
}

void Merge(Json::Value* into, const Json::Value& intent) {
  if (!intent.isObject()) {
    *into = intent;
    return;
  }
  if (!into->isObject()) *into = Json::objectValue;
  for (const std::string& name : intent.getMemberNames()) Merge(&(*into)[name], intent[name]);
}

// What generation follows: all but metadata and status.
Json::Value SpecOf(const Json::Value& object) {
  Json::Value out = object;
  out.removeMember("metadata");
  out.removeMember("status");
  return out;
}

bool Contains(const Json::Value& list, const std::string& value) {
  return std::find(list.begin(), list.end(), Json::Value(value)) != list.end();
}

bool Selected(const Json::Value& object, const std::string& selector) {
  if (selector.empty()) return true;
  const size_t equals = selector.find('=');
  const Json::Value& labels = object["metadata"]["labels"];
  return labels[selector.substr(0, equals)].asString() == selector.substr(equals + 1);
}

// One operation of RFC 6902, as far as test, add, replace and remove go; false: it does not hold.
bool Operate(Json::Value* root, const Json::Value& operation) {
  const std::string path = operation["path"].asString();
  const std::string op = operation["op"].asString();
  Json::Value* at = root;
  size_t from = 1;
  for (;;) {
    const size_t slash = path.find('/', from);
    const std::string name = path.substr(from, slash - from);
    const bool last = slash == std::string::npos;
    if (at->isArray()) {
      const auto index = static_cast<Json::ArrayIndex>(std::atoi(name.c_str()));
      if (last && op == "add" && name == "-") return at->append(operation["value"]), true;
      if (index >= at->size()) return false;
      if (last && op == "remove") return at->removeIndex(index, nullptr);
      at = &(*at)[index];
    } else {
      if (last && op == "remove") return at->removeMember(name, nullptr);
      if (op != "add" && !at->isMember(name)) return op == "test" && operation["value"].isNull();
      at = &(*at)[name];
    }
    if (last) break;
    from = slash + 1;
  }
  if (op == "test") return *at == operation["value"];
  *at = operation["value"];
  return true;
}

}  // namespace

FakeHub::FakeHub(std::string cluster) : cluster_(std::move(cluster)) {
  Json::Value space;
  space["apiVersion"] = "v1";
  space["kind"] = "Namespace";
  space["metadata"]["name"] = "kube-system";
  Put(space, "namespaces");
}

// /api/v1/..., /apis/group/version/...
FakeHub::Path FakeHub::Parse(std::string_view path) {
  std::vector<std::string> parts;
  for (size_t from = 1; from <= path.size();) {
    const size_t slash = std::min(path.find('/', from), path.size());
    parts.emplace_back(path.substr(from, slash - from));
    from = slash + 1;
  }
  Path out;
  size_t at = 2;
  if (parts.size() > 2 && parts[0] == "apis") {
    out.group = parts[1];
    at = 3;
  }
  const auto next = [&] { return at < parts.size() ? parts[at++] : std::string(); };
  std::string name_space;
  if (at + 2 < parts.size() && parts[at] == "namespaces") {
    ++at;
    name_space = next();
  }
  std::string resource = next();
  out.key = {std::move(resource), std::move(name_space), next()};
  out.subresource = next();
  return out;
}

FakeHub::Answer FakeHub::Store(const Key& key, Json::Value object) {
  const auto found = objects_.find(key);
  const bool is_new = found == objects_.end();
  Json::Value& meta = object["metadata"];
  if (!is_new && found->second == object) return {200, "", "", object};
  if (is_new) {
    meta["uid"] = StrCat(cluster_, "-uid-", next_uid_++);
    meta["creationTimestamp"] = now_;
    meta["generation"] = 1;
    if (!std::get<1>(key).empty()) meta["namespace"] = std::get<1>(key);
    meta["name"] = std::get<2>(key);
    if (object["apiVersion"].asString().starts_with("fairlead.dev/")) {
      object["status"]["observedGeneration"] = -1;  // the schema's default
    }
  } else if (SpecOf(found->second) != SpecOf(object)) {
    meta["generation"] = found->second["metadata"]["generation"].asInt64() + 1;
  }
  meta["resourceVersion"] = StrCat(++version_);
  if (meta.isMember("deletionTimestamp") &&
      (!meta.isMember("finalizers") || meta["finalizers"].empty())) {
    objects_.erase(key);
    intents_.erase(key);
    Publish("DELETED", key, object);
    return {200, "", "", object};
  }
  objects_[key] = object;
  Publish(is_new ? "ADDED" : "MODIFIED", key, object);
  return {is_new ? 201 : 200, "", "", object};
}

void FakeHub::Publish(const std::string& type, const Key& key, const Json::Value& object) {
  Json::Value event;
  event["type"] = type;
  event["object"] = object;
  events_.push_back({version_, type, key, json::WriteJson(event) + "\n"});
  std::erase_if(watches_, [](const Watch& watch) { return watch.reply->gone(); });
  if (hold_watches_) return;
  for (const Watch& watch : watches_) {
    if (watch.resource == std::get<0>(key) && watch.name_space == std::get<1>(key)) {
      watch.reply->Data(events_.back().text);
    }
  }
}

FakeHub::Answer FakeHub::Create(const Path& path, Json::Value body) {
  Key key = path.key;
  std::get<2>(key) = body["metadata"]["name"].asString();
  if (objects_.contains(key)) return {409, "AlreadyExists", "already exists", {}};
  body.removeMember("status");
  return Store(key, std::move(body));
}

FakeHub::Answer FakeHub::Replace(const Path& path, Json::Value body) {
  const auto found = objects_.find(path.key);
  if (found == objects_.end()) return {404, "NotFound", "not found", {}};
  const Json::Value& live = found->second["metadata"];
  Json::Value& meta = body["metadata"];
  if (meta.isMember("resourceVersion") && meta["resourceVersion"] != live["resourceVersion"]) {
    return {409, "Conflict", "the object has been modified", {}};
  }
  for (const char* name : {"uid", "creationTimestamp", "generation", "namespace"}) {
    if (live.isMember(name)) meta[name] = live[name];
  }
  meta["resourceVersion"] = live["resourceVersion"];
  if (found->second.isMember("status")) body["status"] = found->second["status"];
  return Store(path.key, std::move(body));
}

FakeHub::Answer FakeHub::Apply(const Path& path, const Json::Value& body,
                               const std::string& manager) {
  const auto found = objects_.find(path.key);
  const bool status = path.subresource == "status";
  if (found == objects_.end() && status) return {404, "NotFound", "not found", {}};
  const Json::Value& uid = body["metadata"]["uid"];
  if (!status && !uid.isNull() &&
      (found == objects_.end() || found->second["metadata"]["uid"] != uid)) {
    return {409, "Conflict", "the uid in the precondition is not the object's", {}};
  }
  const Json::Value& version = body["metadata"]["resourceVersion"];
  if (!version.isNull() &&
      (found == objects_.end() || found->second["metadata"]["resourceVersion"] != version)) {
    return {409, "Conflict", "the object has been modified", {}};
  }
  Json::Value intent = body;
  if (intent.isMember("metadata")) intent["metadata"].removeMember("resourceVersion");
  if (status) {
    intent = Json::objectValue;
    intent["status"] = body["status"];
  } else {
    intent.removeMember("status");
  }
  Json::Value object = found == objects_.end() ? Json::Value(Json::objectValue) : found->second;
  auto& intents = intents_[path.key];
  const std::string mine = StrCat(manager, "/", path.subresource);
  std::vector<std::vector<std::string>> leaves;
  std::vector<std::string> at;
  if (intents.contains(mine)) Leaves(intents[mine], &at, &leaves);
  for (const auto& leaf : leaves) {
    bool kept = leaf.empty() || Has(intent, leaf);
    for (const auto& [name, other] : intents) kept = kept || (name != mine && Has(other, leaf));
    if (!kept) Drop(&object, leaf);
  }
  intents[mine] = intent;
  Merge(&object, intent);
  return Store(path.key, std::move(object));
}

FakeHub::Answer FakeHub::Patch(const Path& path, const Json::Value& patch) {
  const auto found = objects_.find(path.key);
  if (found == objects_.end()) return {404, "NotFound", "not found", {}};
  Json::Value object = found->second;
  for (const Json::Value& operation : patch) {
    if (!Operate(&object, operation)) return {422, "Invalid", "the patch does not apply", {}};
  }
  const Json::Value& before = found->second["metadata"];
  for (const Json::Value& one : object["metadata"]["finalizers"]) {
    if (before.isMember("deletionTimestamp") && !Contains(before["finalizers"], one.asString())) {
      return {422, "Invalid", "no new finalizers can be added if the object is being deleted", {}};
    }
  }
  return Store(path.key, std::move(object));
}

FakeHub::Answer FakeHub::Delete(const Path& path, const Json::Value& options) {
  const auto found = objects_.find(path.key);
  if (found == objects_.end()) return {404, "NotFound", "not found", {}};
  Json::Value object = found->second;
  Json::Value& meta = object["metadata"];
  const Json::Value& uid = options["preconditions"]["uid"];
  if (!uid.isNull() && uid != meta["uid"]) return {409, "Conflict", "another uid", {}};
  if (hold_foreground_ && options["propagationPolicy"] == "Foreground" &&
      std::get<0>(path.key) == "deployments") {
    meta["finalizers"].append(kForeground);
  }
  if (!meta.isMember("deletionTimestamp")) {
    meta["deletionTimestamp"] = now_;
    meta["generation"] = meta["generation"].asInt64() + 1;
  }
  return Store(path.key, std::move(object));
}

FakeHub::Answer FakeHub::ListOf(const Path& path, std::string_view query) const {
  const size_t limit = std::atoi(net::QueryValue(query, "limit").c_str());
  const std::string selector = net::QueryValue(query, "labelSelector");
  const auto& [resource, name_space, name] = path.key;
  Answer answer;
  answer.body["apiVersion"] = "v1";
  answer.body["kind"] = "List";
  answer.body["metadata"]["resourceVersion"] = StrCat(version_);
  answer.body["items"] = Json::arrayValue;
  for (const auto& [key, object] : objects_) {
    if (std::get<0>(key) != resource || !Selected(object, selector)) continue;
    if (!name_space.empty() && std::get<1>(key) != name_space) continue;
    if (limit != 0 && answer.body["items"].size() == limit) break;
    answer.body["items"].append(object);
  }
  return answer;
}

void FakeHub::OpenWatch(const Path& path, std::string_view query,
                        const std::shared_ptr<FakeReply>& reply) {
  const uint64_t from =
      std::strtoull(net::QueryValue(query, "resourceVersion").c_str(), nullptr, 10);
  if (from < compacted_) return Send(reply.get(), {410, "Expired", "too old", {}}, 0);
  const auto& [resource, name_space, name] = path.key;
  reply->Headers(200, {{"content-type", "application/json"}});
  for (const Event& event : events_) {
    if (event.version > from && std::get<0>(event.key) == resource &&
        std::get<1>(event.key) == name_space) {
      reply->Data(event.text);
    }
  }
  watches_.push_back({resource, name_space, reply});
}

FakeHub::Answer FakeHub::Serve(const Path& path, const net::HttpRequest& request) {
  const size_t mark = request.target.find('?');
  const std::string query = mark == std::string::npos ? "" : request.target.substr(mark + 1);
  const auto body = request.body.empty() ? Json::Value() : json::ParseJson(request.body).value();
  if (request.method == "GET" && std::get<2>(path.key).empty()) return ListOf(path, query);
  if (request.method == "GET") {
    const auto found = objects_.find(path.key);
    if (found == objects_.end()) return {404, "NotFound", "not found", {}};
    return {200, "", "", found->second};
  }
  if (request.method == "POST") return Create(path, body);
  if (request.method == "PUT") return Replace(path, body);
  if (request.method == "DELETE") return Delete(path, body);
  const std::string_view type = net::FindHeader(request.headers, "content-type");
  if (type == "application/json-patch+json") return Patch(path, body);
  if (type == "application/apply-patch+yaml") {
    return Apply(path, body, net::QueryValue(query, "fieldManager"));
  }
  return {415, "UnsupportedMediaType", "unsupported", {}};
}

void FakeHub::Send(FakeReply* reply, const Answer& answer, int retry_after) const {
  Json::Value body = answer.body;
  if (answer.status > 299) {
    body["kind"] = "Status";
    body["status"] = "Failure";
    body["reason"] = answer.reason;
    body["message"] = answer.message;
    body["code"] = answer.status;
  }
  net::Headers headers{{"content-type", "application/json"}};
  if (retry_after != 0) headers.emplace_back("retry-after", StrCat(retry_after));
  reply->Headers(answer.status, headers);
  reply->Data(json::WriteJson(body));
  reply->End();
}

void FakeHub::Handle(const net::HttpRequest& request, const std::shared_ptr<FakeReply>& reply) {
  requests_.push_back(StrCat(request.method, " ", request.target));
  const Fate fate = script_ ? script_(request) : Fate{};
  if (fate.never) return;
  if (fate.lost) return reply->Reset();
  if (fate.status != 0) {
    return Send(reply.get(), {fate.status, fate.reason, "scripted", {}}, fate.retry_after_seconds);
  }
  const size_t mark = std::min(request.target.find('?'), request.target.size());
  const std::string target = request.target.substr(0, mark);
  const std::string query = request.target.substr(std::min(mark + 1, request.target.size()));
  if (target == "/version") {
    Json::Value version;
    version["gitVersion"] = "v1.31.0";
    return Send(reply.get(), {200, "", "", version}, 0);
  }
  const Path path = Parse(target);
  if (!unserved_.empty() && std::get<0>(path.key) == unserved_) {
    return Send(reply.get(), {404, "NotFound", "the server could not find the resource", {}}, 0);
  }
  if (!net::QueryValue(query, "watch").empty()) return OpenWatch(path, query, reply);
  const Answer answer = Serve(path, request);
  if (fate.answer_lost) return reply->Reset();
  Send(reply.get(), answer, 0);
}

void FakeHub::FinishForeground() {
  std::vector<Key> keys;
  for (const auto& [key, object] : objects_) {
    if (Contains(object["metadata"]["finalizers"], kForeground)) keys.push_back(key);
  }
  for (const Key& key : keys) {
    Json::Value object = objects_[key];
    object["metadata"].removeMember("finalizers");
    Store(key, std::move(object));
  }
}

void FakeHub::Compact() {
  compacted_ = ++version_;
  for (const Watch& watch : watches_) watch.reply->End();
  watches_.clear();
}

void FakeHub::SendRaw(std::string_view text) {
  for (const Watch& watch : watches_) watch.reply->Data(text);
}

void FakeHub::Put(const Json::Value& object, const std::string& resource) {
  const Json::Value& meta = object["metadata"];
  const Key key{resource, meta["namespace"].asString(), meta["name"].asString()};
  const auto found = objects_.find(key);
  if (found == objects_.end()) {
    Store(key, object);
    return;
  }
  Json::Value next = object;
  next["metadata"] = found->second["metadata"];
  if (meta.isMember("labels")) next["metadata"]["labels"] = meta["labels"];
  if (found->second.isMember("status")) next["status"] = found->second["status"];
  Store(key, std::move(next));
}

void FakeHub::Edit(const std::string& resource, const std::string& name_space,
                   const std::string& name, const std::function<void(Json::Value*)>& edit) {
  const Key key{resource, name_space, name};
  Json::Value object = objects_.at(key);
  edit(&object);
  Store(key, std::move(object));
}

void FakeHub::Remove(const std::string& resource, const std::string& name_space,
                     const std::string& name) {
  Delete({{resource, name_space, name}, "", ""}, Json::objectValue);
}

void FakeHub::Lose(const std::string& resource, const std::string& name_space,
                   const std::string& name) {
  objects_.erase({resource, name_space, name});
}

Json::Value FakeHub::Get(const std::string& resource, const std::string& name_space,
                         const std::string& name) const {
  const auto found = objects_.find({resource, name_space, name});
  return found == objects_.end() ? Json::Value() : found->second;
}

std::vector<Json::Value> FakeHub::List(const std::string& resource) const {
  std::vector<Json::Value> out;
  for (const auto& [key, object] : objects_) {
    if (std::get<0>(key) == resource) out.push_back(object);
  }
  return out;
}

std::vector<std::string> FakeHub::writes() const {
  std::vector<std::string> out;
  for (const std::string& one : requests_) {
    if (!one.starts_with("GET ")) out.push_back(one);
  }
  return out;
}

}  // namespace fairlead::fakes
