#include "bench/replay_api.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "lib/base/strings.h"

namespace fairlead::bench {
namespace {

using base::StrCat;
using Next = ReplayBody::Next;

constexpr char kPods[] = "/api/v1/pods";
constexpr size_t kListPiece = size_t{32} << 10;
// A list of a built-in kind leaves these out of its items.
constexpr std::string_view kTyped = R"("kind":"Pod","apiVersion":"v1",)";

constexpr char kCoreDiscovery[] =
    R"({"kind":"APIGroupDiscoveryList","apiVersion":"apidiscovery.k8s.io/v2","metadata":{},"items":[)"
    R"({"metadata":{"name":"","creationTimestamp":null},"versions":[{"version":"v1","resources":[)"
    R"({"resource":"pods","responseKind":{"group":"","version":"v1","kind":"Pod"},"scope":"Namespaced",)"
    R"("singularResource":"pod","verbs":["get","list","watch"]}],"freshness":"Current"}]}]})";
constexpr char kNoGroups[] =
    R"({"kind":"APIGroupDiscoveryList","apiVersion":"apidiscovery.k8s.io/v2","metadata":{},"items":[]})";
constexpr char kNamespace[] =
    R"({"kind":"Namespace","apiVersion":"v1","metadata":{"name":"kube-system","uid":)"
    R"("6d1f5a60-5e0d-4a53-9a0b-2f7a3f3c9b11","resourceVersion":"4"}})";
constexpr char kVersion[] = R"({"major":"1","minor":"32","gitVersion":"v1.32.6-replay"})";
constexpr char kNotFound[] =
    R"({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","reason":"NotFound","code":404})";

// The value of a query parameter, "" without one; ours need no decoding.
std::string_view Parameter(std::string_view target, std::string_view name) {
  const std::string wanted = StrCat(name, "=");
  size_t at = std::min(target.find('?'), target.size());
  while (at < target.size()) {
    const size_t end = std::min(target.find('&', ++at), target.size());
    const std::string_view part = target.substr(at, end - at);
    if (part.substr(0, wanted.size()) == wanted) return part.substr(wanted.size());
    at = end;
  }
  return {};
}

uint64_t Number(std::string_view text, uint64_t otherwise) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() && !text.empty() ? value
                                                                                   : otherwise;
}

class Text : public ReplayBody {
 public:
  explicit Text(std::string text) : text_(std::move(text)) {}
  Next Append(std::string* out) override {
    if (text_.empty()) return Next::kEnd;
    *out += std::exchange(text_, {});
    return Next::kPiece;
  }

 private:
  std::string text_;
};

class List : public ReplayBody {
 public:
  List(const Workload& workload, const Corpus* corpus, uint64_t begin, uint64_t end)
      : workload_(workload), corpus_(corpus), next_(begin), begin_(begin), end_(end) {}

  Next Append(std::string* out) override {
    if (ended_) return Next::kEnd;
    if (next_ == begin_) Begin(out);
    while (next_ < end_ && out->size() < kListPiece) {
      if (next_ > begin_) *out += ',';
      item_.clear();
      corpus_->AppendPod(next_, 0, workload_.InitialVersion(next_), &item_);
      item_.erase(1, kTyped.size());
      *out += item_;
      ++next_;
    }
    if (next_ == end_) {
      *out += "]}";
      ended_ = true;
    }
    return Next::kPiece;
  }

 private:
  void Begin(std::string* out) const {
    *out += StrCat(R"({"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":")",
                   workload_.ListVersion(), "\"");
    if (end_ < workload_.objects) {
      *out +=
          StrCat(R"(,"continue":")", end_, R"(","remainingItemCount":)", workload_.objects - end_);
    }
    *out += R"(},"items":[)";
  }

  Workload workload_;
  const Corpus* corpus_;
  uint64_t next_;
  uint64_t begin_;
  uint64_t end_;
  bool ended_ = false;
  std::string item_;
};

class Watch : public ReplayBody {
 public:
  Watch(const ReplayApi* api, const Workload& workload, const Corpus* corpus, bool initial,
        uint64_t first_event)
      : api_(api),
        workload_(workload),
        corpus_(corpus),
        added_(initial ? 0 : workload.objects),
        marked_(!initial),
        event_(first_event) {}

  Next Append(std::string* out) override {
    if (added_ < workload_.objects) {
      Frame("ADDED", added_, 0, workload_.InitialVersion(added_), out);
      ++added_;
      return Next::kPiece;
    }
    if (!std::exchange(marked_, true)) {
      *out += StrCat(
          R"({"type":"BOOKMARK","object":{"kind":"Pod","apiVersion":"v1","metadata":{"resourceVersion":")",
          workload_.ListVersion(),
          "\",\"annotations\":{\"k8s.io/initial-events-end\":\"true\"}}}}\n");
      return Next::kPiece;
    }
    if (!api_->released() || event_ >= workload_.events) return Next::kWait;
    Frame("MODIFIED", workload_.ObjectOf(event_), event_ + 1, workload_.EventVersion(event_), out);
    ++event_;
    api_->CountTaken();
    return Next::kPiece;
  }

 private:
  void Frame(const char* type, uint64_t index, uint64_t version, uint64_t resource_version,
             std::string* out) const {
    *out += StrCat(R"({"type":")", type, R"(","object":)");
    corpus_->AppendPod(index, version, resource_version, out);
    *out += "}\n";
  }

  const ReplayApi* api_;
  Workload workload_;
  const Corpus* corpus_;
  uint64_t added_;
  bool marked_;
  uint64_t event_;
};

ReplayAnswer Plain(std::string text, int status = 200) {
  return {status, std::make_unique<Text>(std::move(text))};
}

}  // namespace

ReplayApi::ReplayApi(const Workload& workload) : workload_(workload), corpus_(1, 500) {}

ReplayAnswer ReplayApi::Get(std::string_view target) const {
  const std::string_view path = target.substr(0, target.find('?'));
  if (path == "/api") return Plain(kCoreDiscovery);
  if (path == "/apis") return Plain(kNoGroups);
  if (path == "/version") return Plain(kVersion);
  if (path == "/api/v1/namespaces/kube-system") return Plain(kNamespace);
  if (path != kPods) return Plain(kNotFound, 404);
  const std::string_view watch = Parameter(target, "watch");
  if (watch == "1" || watch == "true") {
    const bool initial = Parameter(target, "sendInitialEvents") == "true";
    const uint64_t from = Number(Parameter(target, "resourceVersion"), workload_.ListVersion());
    const uint64_t first = from > workload_.ListVersion() ? from - workload_.ListVersion() : 0;
    return {200, std::make_unique<Watch>(this, workload_, &corpus_, initial, first)};
  }
  const uint64_t limit = Number(Parameter(target, "limit"), workload_.objects);
  const uint64_t begin = std::min(Number(Parameter(target, "continue"), 0), workload_.objects);
  const uint64_t end = std::min(begin + limit, workload_.objects);
  return {200, std::make_unique<List>(workload_, &corpus_, begin, end)};
}

}  // namespace fairlead::bench
