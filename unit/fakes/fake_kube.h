#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/net/http.h"

namespace fairlead::fakes {

struct FakeResource {
  std::string group;  // "" = core
  std::string version;
  std::string resource;  // plural
  std::string kind;
  bool namespaced = true;
};

// Answers one request: status, then pieces of the body, then the end (or a fault).
class FakeReply {
 public:
  virtual ~FakeReply() = default;
  virtual void Headers(int status, const net::Headers& headers) = 0;
  virtual void Data(std::string_view data) = 0;
  virtual void End() = 0;
  // The connection is lost.
  virtual void Reset() = 0;
  // The client went away.
  [[nodiscard]] virtual bool gone() const = 0;
};

// What happens to a request instead of its proper answer, or to that answer on its way.
struct Fault {
  int status = 0;           // answer with this code and a Status body; 0 = the proper answer
  std::string reason = "";  // of the Status body
  int retry_after_seconds = 0;
  std::string body = "";                           // instead of the Status body
  bool never = false;                              // no answer at all
  std::optional<size_t> cut_after = std::nullopt;  // bytes of the body, then Reset()
  size_t slice = 0;                                // bytes a piece; 0 = whole
};

// A Kubernetes API server without a network: lists with pages, watches with bookmarks, gets,
// discovery, compaction, restore, and faults that a test scripts. One thread. The transports around
// it are MemoryTransport (below) and FakeApiServer (fake_api_server.h: HTTP/2 and 1.1).
//
// Source: Kubernetes "API concepts". Not here: writes over HTTP, field selectors other than
// metadata.name, label selectors, patches; those are proved against a real server (e2e).
class FakeKube {
 public:
  FakeKube();

  void Serve(const FakeResource& resource);
  // As if its definition was deleted: its watches end, its paths are unknown.
  void Unserve(std::string_view resource);
  // Creates or replaces; `rest` is what follows metadata, e.g. R"("spec":{"a":1})". Returns the
  // version.
  uint64_t Put(std::string_view resource, std::string_view name_space, std::string_view name,
               std::string_view rest = "");
  uint64_t Delete(std::string_view resource, std::string_view name_space, std::string_view name);
  // Sends a bookmark to every open watch of `resource`.
  void Bookmark(std::string_view resource);
  // Sends `frame` (and a newline) as it is to every open watch of `resource`.
  void SendRaw(std::string_view resource, std::string_view frame);
  // Ends (or resets) every open watch of `resource`.
  void EndWatches(std::string_view resource, bool reset = false);
  // Versions up to now are forgotten: continue tokens, watches and exact lists from before expire.
  void Compact() { compacted_ = version_; }
  // A server may give less than the limit; 0 = no cap. A limit of 1 stays.
  void set_most_per_page(uint64_t most) { most_per_page_ = most; }
  // Whether the 410 to a continue token offers one that goes on at the newest version.
  void set_offers_inconsistent_token(bool offers) { offers_inconsistent_token_ = offers; }
  // Keeps the current state aside; Restore() goes back to it, as from an etcd backup: versions
  // repeat.
  void Backup();
  void Restore();
  [[nodiscard]] uint64_t restores() const { return restores_; }

  // The next requests whose "METHOD target" contains `part` get `fault`.
  void Inject(std::string_view part, const Fault& fault, int times = 1);
  void ClearFaults() { faults_.clear(); }

  // "GET /api/v1/pods?limit=1", in order.
  [[nodiscard]] const std::vector<std::string>& requests() const { return requests_; }
  [[nodiscard]] int CountRequests(std::string_view part) const;
  [[nodiscard]] uint64_t version() const { return version_; }
  [[nodiscard]] size_t open_watches(std::string_view resource) const;
  // (namespace, name) of every object.
  [[nodiscard]] std::vector<std::pair<std::string, std::string>> Names(
      std::string_view resource) const;
  // The object as a list shows it; "" when absent.
  [[nodiscard]] std::string Text(std::string_view resource, std::string_view name_space,
                                 std::string_view name) const;

  void Handle(const net::HttpRequest& request, std::shared_ptr<FakeReply> reply);

 private:
  struct Object {
    std::string uid;
    uint64_t version = 0;
    std::string rest;
  };
  using Name = std::pair<std::string, std::string>;  // namespace, name
  struct Event {
    uint64_t version = 0;
    const char* type = "";
    Name name;
    Object object;
  };
  struct Watch {
    std::string name_space;
    std::shared_ptr<FakeReply> reply;
  };
  struct Collection {
    FakeResource resource;
    std::map<Name, Object> objects;
    std::vector<Event> events;
    std::vector<Watch> watches;
  };
  struct State {
    std::map<std::string, Collection, std::less<>> collections;
    uint64_t version = 0;
    uint64_t compacted = 0;
  };
  struct Path {
    Collection* collection = nullptr;
    std::string name_space;
    std::string name;
  };

  Collection& At(std::string_view resource);
  const Collection* Find(std::string_view resource) const;
  std::optional<Path> Resolve(std::string_view path);
  static std::string Render(const FakeResource& resource, const Name& name, const Object& object,
                            bool with_type);
  void Publish(Collection* collection, const Event& event);
  void Answer(const net::HttpRequest& request, const std::shared_ptr<FakeReply>& reply);
  void AnswerList(const Path& path, std::string_view query, FakeReply* reply);
  void AnswerWatch(const Path& path, std::string_view query,
                   const std::shared_ptr<FakeReply>& reply);
  void AnswerDiscovery(std::string_view path, FakeReply* reply);
  void AnswerStatus(int status, std::string_view reason, FakeReply* reply,
                    std::string_view more = "");

  std::map<std::string, Collection, std::less<>> collections_;
  uint64_t version_ = 100;
  uint64_t compacted_ = 0;
  uint64_t most_per_page_ = 0;
  bool offers_inconsistent_token_ = false;
  uint64_t next_uid_ = 1;
  uint64_t restores_ = 0;
  std::optional<State> backup_;
  std::vector<std::string> requests_;
  struct Planned {
    std::string part;
    Fault fault;
    int times;
  };
  std::deque<Planned> faults_;
};

}  // namespace fairlead::fakes
