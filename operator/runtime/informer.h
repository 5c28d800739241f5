#pragma once

#include <json/value.h>

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "lib/base/loop.h"
#include "lib/base/mutex.h"
#include "lib/json/object_view.h"
#include "lib/kube/api_client.h"
#include "lib/kube/resource.h"
#include "lib/kube/watch_machine.h"
#include "operator/runtime/work_queue.h"

namespace fairlead::op {

// Keeps all objects of one resource in one namespace in memory, as the API server has them, and
// tells of changes by key. What to ask and when is kube::WatchMachine's; this is its I/O.
//
// Guarantees: readers see whole objects only, never a half-replaced list; an object that is gone
//   when the watch was interrupted is told of as well; synced() is false until the first complete
//   list. Objects are immutable: a change is a new one.
// Threads: Start and Stop on the loop; Get, List and synced from anywhere; on_change runs on the
//   loop.
class Informer {
 public:
  using Object = std::shared_ptr<const Json::Value>;
  using OnChange = std::function<void(const Key&)>;

  Informer(kube::ResourceType type, std::string name_space, kube::ApiClient* api, base::Loop* loop,
           OnChange on_change);
  ~Informer();
  void Start();
  void Stop();

  [[nodiscard]] bool synced() const;
  [[nodiscard]] const std::string& resource() const { return type_.resource; }
  [[nodiscard]] Object Get(const Key& key) const;  // null: there is none
  [[nodiscard]] std::vector<Object> List() const;

 private:
  enum class What { kWatch, kList, kProbe, kAnchor };
  class Request;

  void Apply(const kube::Actions& actions);
  void ApplyOne(const kube::Action& action);
  void Later(std::function<kube::Actions()> event);
  std::unique_ptr<Request> Open(What what, std::string target);
  void Close(std::unique_ptr<Request>* request);
  void OnBody(Request* request, std::string_view data);
  void OnItem(Request* request, std::string_view text);
  void OnFrame(std::string_view frame);
  void OnDone(Request* request, const absl::Status& status);
  void ListDone(Request* request);
  void EmitChange(kube::EventType type);
  void ReplaceAll();
  void Rearm();
  [[nodiscard]] base::Time now() const { return loop_->clock().Now(); }

  const kube::ResourceType type_;
  const std::string name_space_;
  kube::ApiClient* api_;
  base::Loop* loop_;
  OnChange on_change_;
  kube::WatchMachine machine_;
  json::ObjectReader reader_;
  const json::ObjectView* current_ = nullptr;
  std::unique_ptr<Request> watch_, list_, check_;
  std::unique_ptr<base::Timer> timer_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);

  std::map<Key, Object> staged_;  // of the list under way
  std::vector<Key> page_;         // of its page under way
  std::set<Key> live_;            // changed by the watch since the list began

  mutable base::Mutex mutex_;
  std::map<Key, Object> objects_;
  bool synced_ = false;
};

}  // namespace fairlead::op
