#include "unit/fakes/fake_kube.h"

#include <algorithm>
#include <utility>

#include "lib/base/strings.h"
#include "lib/net/http_server.h"

namespace fairlead::fakes {

using base::StrCat;

namespace {

const net::Headers kJson = {{"content-type", "application/json"}};

std::string ApiVersion(const FakeResource& resource) {
  return resource.group.empty() ? resource.version : StrCat(resource.group, "/", resource.version);
}

uint64_t Number(std::string_view text) { return text.empty() ? 0 : std::stoull(std::string(text)); }

// Applies a fault to the answer on its way.
class FaultyReply : public FakeReply {
 public:
  FaultyReply(std::shared_ptr<FakeReply> inner, Fault fault)
      : inner_(std::move(inner)), fault_(std::move(fault)) {}
  void Headers(int status, const net::Headers& headers) override {
    inner_->Headers(status, headers);
  }
  void Data(std::string_view data) override {
    while (!data.empty() && !cut_) {
      size_t size = fault_.slice > 0 ? std::min(fault_.slice, data.size()) : data.size();
      if (fault_.cut_after) size = std::min(size, *fault_.cut_after - sent_);
      if (size > 0) inner_->Data(data.substr(0, size));
      data.remove_prefix(size);
      sent_ += size;
      if (fault_.cut_after && sent_ >= *fault_.cut_after) Reset();
    }
  }
  void End() override {
    if (!cut_) inner_->End();
  }
  void Reset() override {
    if (!std::exchange(cut_, true)) inner_->Reset();
  }
  [[nodiscard]] bool gone() const override { return cut_ || inner_->gone(); }

 private:
  std::shared_ptr<FakeReply> inner_;
  Fault fault_;
  size_t sent_ = 0;
  bool cut_ = false;
};

}  // namespace

FakeKube::FakeKube() {
  Serve({"", "v1", "namespaces", "Namespace", false});
  Put("namespaces", "", "kube-system");
}

void FakeKube::Serve(const FakeResource& resource) {
  collections_[resource.resource].resource = resource;
}

void FakeKube::Unserve(std::string_view resource) {
  EndWatches(resource);
  collections_.erase(collections_.find(resource));
}

FakeKube::Collection& FakeKube::At(std::string_view resource) {
  return collections_.find(resource)->second;
}

const FakeKube::Collection* FakeKube::Find(std::string_view resource) const {
  const auto found = collections_.find(resource);
  return found == collections_.end() ? nullptr : &found->second;
}

std::string FakeKube::Render(const FakeResource& resource, const Name& name, const Object& object,
                             bool with_type) {
  std::string text = "{";
  if (with_type) {
    text +=
        StrCat(R"("kind":")", resource.kind, R"(","apiVersion":")", ApiVersion(resource), "\",");
  }
  text += StrCat(R"("metadata":{"name":")", name.second, "\",");
  if (!name.first.empty()) text += StrCat(R"("namespace":")", name.first, "\",");
  text += StrCat(R"("uid":")", object.uid, R"(","resourceVersion":")", object.version, "\"}");
  if (!object.rest.empty()) text += StrCat(",", object.rest);
  return text + "}";
}

uint64_t FakeKube::Put(std::string_view resource, std::string_view name_space,
                       std::string_view name, std::string_view rest) {
  Collection& collection = At(resource);
  const Name key{std::string(name_space), std::string(name)};
  Object& object = collection.objects[key];
  const bool created = object.version == 0;
  if (created) object.uid = StrCat("uid-", next_uid_++);
  object.version = ++version_;
  object.rest = std::string(rest);
  Publish(&collection, {version_, created ? "ADDED" : "MODIFIED", key, object});
  return version_;
}

uint64_t FakeKube::Delete(std::string_view resource, std::string_view name_space,
                          std::string_view name) {
  Collection& collection = At(resource);
  auto gone = collection.objects.extract({std::string(name_space), std::string(name)});
  if (gone.empty()) return version_;
  gone.mapped().version = ++version_;
  Publish(&collection, {version_, "DELETED", gone.key(), gone.mapped()});
  return version_;
}

void FakeKube::Publish(Collection* collection, const Event& event) {
  collection->events.push_back(event);
  const std::string frame =
      StrCat(R"({"type":")", event.type, R"(","object":)",
             Render(collection->resource, event.name, event.object, true), "}\n");
  const auto watches = collection->watches;
  for (const Watch& watch : watches) {
    if (watch.name_space.empty() || watch.name_space == event.name.first) watch.reply->Data(frame);
  }
}

void FakeKube::Bookmark(std::string_view resource) {
  const FakeResource& of = At(resource).resource;
  SendRaw(resource,
          StrCat(R"({"type":"BOOKMARK","object":{"kind":")", of.kind, R"(","apiVersion":")",
                 ApiVersion(of), R"(","metadata":{"resourceVersion":")", version_,
                 R"(","creationTimestamp":null}}})"));
}

void FakeKube::SendRaw(std::string_view resource, std::string_view frame) {
  const auto watches = At(resource).watches;
  for (const Watch& watch : watches) watch.reply->Data(StrCat(frame, "\n"));
}

void FakeKube::EndWatches(std::string_view resource, bool reset) {
  const auto watches = std::exchange(At(resource).watches, {});
  for (const Watch& watch : watches) {
    if (reset) {
      watch.reply->Reset();
    } else {
      watch.reply->End();
    }
  }
}

void FakeKube::Backup() {
  backup_ = State{collections_, version_, compacted_};
  for (auto& [name, collection] : backup_->collections) collection.watches.clear();
}

void FakeKube::Restore() {
  std::vector<Watch> lost;
  for (auto& [name, collection] : collections_) {
    lost.insert(lost.end(), collection.watches.begin(), collection.watches.end());
  }
  collections_ = backup_->collections;
  version_ = backup_->version;
  compacted_ = backup_->compacted;
  ++restores_;
  for (const Watch& watch : lost) watch.reply->Reset();
}

void FakeKube::Inject(std::string_view part, const Fault& fault, int times) {
  faults_.push_back({std::string(part), fault, times});
}

int FakeKube::CountRequests(std::string_view part) const {
  return static_cast<int>(
      std::count_if(requests_.begin(), requests_.end(),
                    [&](const std::string& one) { return one.find(part) != std::string::npos; }));
}

size_t FakeKube::open_watches(std::string_view resource) const {
  const Collection* collection = Find(resource);
  if (collection == nullptr) return 0;
  return static_cast<size_t>(
      std::count_if(collection->watches.begin(), collection->watches.end(),
                    [](const Watch& watch) { return !watch.reply->gone(); }));
}

std::vector<std::pair<std::string, std::string>> FakeKube::Names(std::string_view resource) const {
  std::vector<Name> names;
  if (const Collection* collection = Find(resource)) {
    for (const auto& [name, object] : collection->objects) names.push_back(name);
  }
  return names;
}

std::string FakeKube::Text(std::string_view resource, std::string_view name_space,
                           std::string_view name) const {
  const Collection* collection = Find(resource);
  if (collection == nullptr) return "";
  const auto found = collection->objects.find({std::string(name_space), std::string(name)});
  if (found == collection->objects.end()) return "";
  return Render(collection->resource, found->first, found->second, false);
}

void FakeKube::Handle(const net::HttpRequest& request, std::shared_ptr<FakeReply> reply) {
  requests_.push_back(StrCat(request.method, " ", request.target));
  const std::string line = requests_.back();
  const auto planned = std::find_if(faults_.begin(), faults_.end(), [&](const Planned& one) {
    return line.find(one.part) != std::string::npos;
  });
  if (planned == faults_.end()) return Answer(request, reply);
  const Fault fault = planned->fault;
  if (--planned->times == 0) faults_.erase(planned);
  if (fault.never) return;
  auto faulty = std::make_shared<FaultyReply>(std::move(reply), fault);
  if (fault.status == 0) return Answer(request, faulty);
  net::Headers headers = kJson;
  if (fault.retry_after_seconds > 0) {
    headers.emplace_back("retry-after", std::to_string(fault.retry_after_seconds));
  }
  if (fault.body.empty()) {
    faulty->Headers(fault.status, headers);
    AnswerStatus(-fault.status, fault.reason, faulty.get());
  } else {
    faulty->Headers(fault.status, headers);
    faulty->Data(fault.body);
    faulty->End();
  }
}

// A negative status: the headers are sent already.
void FakeKube::AnswerStatus(int status, std::string_view reason, FakeReply* reply,
                            std::string_view more) {
  if (status > 0) reply->Headers(status, kJson);
  reply->Data(StrCat(R"({"kind":"Status","apiVersion":"v1","status":"Failure",)", more,
                     R"("message":"fake: )", reason, R"(","reason":")", reason, R"(","code":)",
                     status > 0 ? status : -status, "}"));
  reply->End();
}

// /api/v1/..., /apis/<group>/<version>/..., with namespaces/<ns>/ for one namespace.
std::optional<FakeKube::Path> FakeKube::Resolve(std::string_view path) {
  std::vector<std::string> parts;
  while (!path.empty()) {
    path.remove_prefix(1);
    const size_t slash = path.find('/');
    std::string part;
    net::PercentDecode(path.substr(0, slash), &part);
    parts.push_back(part);
    path = slash == std::string_view::npos ? std::string_view() : path.substr(slash);
  }
  const size_t skip = !parts.empty() && parts[0] == "apis" ? 3 : 2;
  if (parts.size() <= skip) return std::nullopt;
  Path found;
  size_t i = skip;
  if (parts[i] == "namespaces" && parts.size() > i + 2) {
    found.name_space = parts[i + 1];
    i += 2;
  }
  const auto collection = collections_.find(parts[i]);
  if (collection == collections_.end()) return std::nullopt;
  const FakeResource& resource = collection->second.resource;
  if (resource.group != (skip == 3 ? parts[1] : "")) return std::nullopt;
  if (resource.version != parts[skip - 1]) return std::nullopt;
  found.collection = &collection->second;
  if (parts.size() > i + 1) found.name = parts[i + 1];
  return found;
}

void FakeKube::Answer(const net::HttpRequest& request, const std::shared_ptr<FakeReply>& reply) {
  const size_t mark = request.target.find('?');
  const std::string path = request.target.substr(0, mark);
  const std::string query = mark == std::string::npos ? "" : request.target.substr(mark + 1);
  if (path == "/version") {
    reply->Headers(200, kJson);
    reply->Data(R"({"major":"1","minor":"34","gitVersion":"v1.34.4"})");
    return reply->End();
  }
  if (path == "/api" || path == "/apis") return AnswerDiscovery(path, reply.get());
  const std::optional<Path> found = Resolve(path);
  if (!found) return AnswerStatus(404, "NotFound", reply.get());
  if (request.method != "GET") return AnswerStatus(405, "MethodNotAllowed", reply.get());
  if (found->name.empty()) {
    const bool watch = !net::QueryValue(query, "watch").empty();
    return watch ? AnswerWatch(*found, query, reply) : AnswerList(*found, query, reply.get());
  }
  const auto object = found->collection->objects.find({found->name_space, found->name});
  if (object == found->collection->objects.end()) {
    // Unlike a path that the server does not know, this one names what is missing.
    const std::string details = StrCat(R"("details":{"name":")", found->name, R"(","kind":")",
                                       found->collection->resource.resource, R"("},)");
    return AnswerStatus(404, "NotFound", reply.get(), details);
  }
  reply->Headers(200, kJson);
  reply->Data(Render(found->collection->resource, object->first, object->second, true));
  reply->End();
}

// Continue tokens are "<version>~<namespace>~<name>" of the last item sent.
void FakeKube::AnswerList(const Path& path, std::string_view query, FakeReply* reply) {
  const std::string token = net::QueryValue(query, "continue");
  const std::string exact = net::QueryValue(query, "resourceVersionMatch") == "Exact"
                                ? net::QueryValue(query, "resourceVersion")
                                : "";
  const std::string selector = net::QueryValue(query, "fieldSelector");
  uint64_t limit = Number(net::QueryValue(query, "limit"));
  if (limit > 1 && most_per_page_ > 0) limit = std::min(limit, most_per_page_);
  uint64_t version = version_;
  Name after;
  if (!token.empty()) {
    const size_t first = token.find('~');
    const size_t second = token.find('~', first + 1);
    version = Number(token.substr(0, first));
    after = {token.substr(first + 1, second - first - 1), token.substr(second + 1)};
  }
  if (!exact.empty()) version = Number(exact);
  if (version < compacted_) {
    const bool offers = !token.empty() && offers_inconsistent_token_;
    const std::string next = StrCat(R"("metadata":{"continue":")", version_, "~", after.first, "~",
                                    after.second, "\"},");
    return AnswerStatus(410, "Expired", reply, offers ? next : "");
  }

  std::map<Name, Object> objects;  // as they were at `version`
  if (version == version_) {
    objects = path.collection->objects;
  } else {
    for (const Event& event : path.collection->events) {
      if (event.version > version) break;
      objects[event.name] = event.object;
      if (std::string_view(event.type) == "DELETED") objects.erase(event.name);
    }
  }
  const std::string prefix = "metadata.name=";
  std::erase_if(objects, [&](const auto& one) {
    if (!path.name_space.empty() && one.first.first != path.name_space) return true;
    if (!token.empty() && one.first <= after) return true;
    return !selector.empty() && selector != prefix + one.first.second;
  });
  const FakeResource& resource = path.collection->resource;
  const bool typed_items = resource.group.find('.') != std::string::npos;
  std::string items;
  std::string next;
  uint64_t sent = 0;
  for (const auto& [name, object] : objects) {
    if (limit > 0 && sent == limit) break;
    items += StrCat(sent++ > 0 ? "," : "", Render(resource, name, object, typed_items));
    next = StrCat(version, "~", name.first, "~", name.second);
  }
  std::string metadata = StrCat(R"("resourceVersion":")", version, "\"");
  if (sent < objects.size()) {
    metadata +=
        StrCat(R"(,"continue":")", next, R"(","remainingItemCount":)", objects.size() - sent);
  }
  reply->Headers(200, kJson);
  reply->Data(StrCat(R"({"kind":")", resource.kind, R"(List","apiVersion":")", ApiVersion(resource),
                     R"(","metadata":{)", metadata, R"(},"items":[)", items, "]}\n"));
  reply->End();
}

void FakeKube::AnswerWatch(const Path& path, std::string_view query,
                           const std::shared_ptr<FakeReply>& reply) {
  const uint64_t from = Number(net::QueryValue(query, "resourceVersion"));
  reply->Headers(200, kJson);
  if (from < compacted_) {
    reply->Data(
        "{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"status\":"
        "\"Failure\",\"message\":\"too old resource "
        "version\",\"reason\":\"Expired\",\"code\":410}}\n");
    return reply->End();
  }
  Collection* collection = path.collection;
  for (const Event& event : collection->events) {
    if (event.version <= from) continue;
    if (!path.name_space.empty() && event.name.first != path.name_space) continue;
    reply->Data(StrCat(R"({"type":")", event.type, R"(","object":)",
                       Render(collection->resource, event.name, event.object, true), "}\n"));
  }
  std::erase_if(collection->watches, [](const Watch& watch) { return watch.reply->gone(); });
  collection->watches.push_back({path.name_space, reply});
}

void FakeKube::AnswerDiscovery(std::string_view path, FakeReply* reply) {
  std::map<std::string, std::map<std::string, std::string>>
      groups;  // group -> version -> resources
  for (const auto& [name, collection] : collections_) {
    const FakeResource& one = collection.resource;
    if (one.group.empty() != (path == "/api")) continue;
    std::string& list = groups[one.group][one.version];
    list += StrCat(list.empty() ? "" : ",", R"({"resource":")", one.resource,
                   R"(","responseKind":{"group":")", one.group, R"(","version":")", one.version,
                   R"(","kind":")", one.kind, R"("},"scope":")",
                   one.namespaced ? "Namespaced" : "Cluster", R"(","singularResource":"","verbs":)",
                   R"(["create","delete","get","list","patch","update","watch"]})");
  }
  std::string items;
  for (const auto& [group, versions] : groups) {
    std::string list;
    for (const auto& [version, resources] : versions) {
      list += StrCat(list.empty() ? "" : ",", R"({"version":")", version, R"(","resources":[)",
                     resources, R"(],"freshness":"Current"})");
    }
    items += StrCat(items.empty() ? "" : ",", R"({"metadata":{"name":")", group,
                    R"("},"versions":[)", list, "]}");
  }
  reply->Headers(200, {{"content-type",
                        "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"}});
  reply->Data(StrCat(R"({"kind":"APIGroupDiscoveryList","apiVersion":"apidiscovery.k8s.io/v2",)",
                     R"("metadata":{},"items":[)", items, "]}"));
  reply->End();
}

}  // namespace fairlead::fakes
