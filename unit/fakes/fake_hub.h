#pragma once

#include <json/value.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "lib/net/http.h"
#include "unit/fakes/fake_kube.h"

namespace fairlead::fakes {

// A Kubernetes API server in memory that takes writes: get, list (limit, equality label selectors),
// watch, create, replace, server-side apply, JSON patch with tests, status subresource, delete with
// preconditions and finalizers. One thread; around it is MemoryTransport.
//
// As the real one does: a write that changes nothing moves no resourceVersion and sends no event;
// generation moves with the spec; a field that a manager no longer applies goes unless another one
// owns it; an object that is being deleted takes no new finalizer and goes with its last one.
// Simpler than the real one: lists are applied whole, nothing is defaulted or validated, nobody is
// forbidden anything. Schemas and the merge of lists are proved against a real server (e2e).
class FakeHub {
 public:
  // `cluster` begins every uid, so that two fakes are two clusters.
  explicit FakeHub(std::string cluster);

  // What happens to one request. The default is its proper answer.
  struct Fate {
    int status = 0;           // answer with this code and reason instead, without any effect
    std::string reason = "";  // of the Status body
    int retry_after_seconds = 0;
    bool lost = false;         // never arrives
    bool answer_lost = false;  // takes effect, and nobody hears of it
    bool never = false;        // no answer at all
  };
  using Script = std::function<Fate(const net::HttpRequest&)>;
  void set_script(Script script) { script_ = std::move(script); }
  // Times that the server itself writes.
  void set_now(std::string rfc3339) { now_ = std::move(rfc3339); }
  // A Deployment deleted with Foreground stays, being deleted, until FinishForeground().
  void HoldForeground() { hold_foreground_ = true; }
  void FinishForeground();
  // Nothing is known of this resource any more, as when its CRD is gone: 404 for the kind.
  void Unserve(const std::string& resource) { unserved_ = resource; }
  // Ends every watch; a watch from before now is then expired.
  void Compact();
  // Open watches see nothing from now on, as behind a slow server.
  void HoldWatches() { hold_watches_ = true; }
  // To every open watch, as it is.
  void SendRaw(std::string_view text);

  // What users and other controllers do, without a request: creates or replaces (status and
  // generation are kept), changes in place, deletes. `resource` is plural; the group is not needed.
  void Put(const Json::Value& object, const std::string& resource);
  void Edit(const std::string& resource, const std::string& name_space, const std::string& name,
            const std::function<void(Json::Value*)>& edit);
  void Remove(const std::string& resource, const std::string& name_space, const std::string& name);
  // Null when there is none.
  [[nodiscard]] Json::Value Get(const std::string& resource, const std::string& name_space,
                                const std::string& name) const;
  [[nodiscard]] std::vector<Json::Value> List(const std::string& resource) const;
  // Forgets an object as a restored backup would: no DELETED event.
  void Lose(const std::string& resource, const std::string& name_space, const std::string& name);

  // "PATCH /api/v1/...", in order.
  [[nodiscard]] const std::vector<std::string>& requests() const { return requests_; }
  [[nodiscard]] std::vector<std::string> writes() const;
  void ClearRequests() { requests_.clear(); }

  void Handle(const net::HttpRequest& request, const std::shared_ptr<FakeReply>& reply);

 private:
  using Key = std::tuple<std::string, std::string, std::string>;  // resource, namespace, name
  struct Path {
    Key key;
    std::string group;
    std::string subresource;
  };
  struct Event {
    uint64_t version;
    std::string type;
    Key key;
    std::string text;
  };
  struct Watch {
    std::string resource;
    std::string name_space;
    std::shared_ptr<FakeReply> reply;
  };
  struct Answer {
    int status = 200;
    std::string reason;
    std::string message;
    Json::Value body;
  };

  static Path Parse(std::string_view path);
  Answer Serve(const Path& path, const net::HttpRequest& request);
  Answer Create(const Path& path, Json::Value body);
  Answer Replace(const Path& path, Json::Value body);
  Answer Apply(const Path& path, const Json::Value& body, const std::string& manager);
  Answer Patch(const Path& path, const Json::Value& patch);
  Answer Delete(const Path& path, const Json::Value& options);
  Answer ListOf(const Path& path, std::string_view query) const;
  void OpenWatch(const Path& path, std::string_view query, const std::shared_ptr<FakeReply>& reply);
  Answer Store(const Key& key, Json::Value object);
  void Publish(const std::string& type, const Key& key, const Json::Value& object);
  void Send(FakeReply* reply, const Answer& answer, int retry_after) const;

  const std::string cluster_;
  Script script_;
  std::string now_ = "2023-11-14T22:13:20Z";
  std::string unserved_;
  bool hold_foreground_ = false;
  bool hold_watches_ = false;
  uint64_t version_ = 1000;
  uint64_t compacted_ = 0;
  int next_uid_ = 1;
  std::map<Key, Json::Value> objects_;
  std::map<Key, std::map<std::string, Json::Value>> intents_;  // by manager and subresource
  std::vector<Event> events_;
  std::vector<Watch> watches_;
  std::vector<std::string> requests_;
};

}  // namespace fairlead::fakes
