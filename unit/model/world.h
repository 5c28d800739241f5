#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "unit/model/agent.h"
#include "unit/model/api_server.h"
#include "unit/model/database.h"
#include "unit/model/endpoint.h"
#include "unit/model/part.h"
#include "unit/model/step.h"

namespace fairlead::model {

// How large a world is and how often each thing may go wrong in it. What may still happen is part
// of a state, so that every run ends.
struct Bounds {
  int agents = 1;
  int replicas = 1;
  Agent::Options agent;
  // Objects are a, b and c; a capital letter means its delete.
  std::string written;  // before the beginning
  bool synced = true;   // begins with rows and an open watch, else with an empty database
  std::string script;   // what is written, in this order
  std::string objects;  // those that are written to in any order, beside the script
  int writes = 0;       // how often
  int agent_crashes = 0;
  int endpoint_crashes = 0;
  int pauses = 0;    // of an endpoint that goes on later
  int cuts = 0;      // of an agent's connection
  int silences = 0;  // an endpoint hears nothing of an agent for longer than its lease
  int doubts = 0;    // commits whose answer is lost
  int api_cuts = 0;  // the API server's connections are lost
  int compactions = 0;
  int audits = 0;
  int api_restores = 0;
  int database_losses = 0;  // the database loses up to three commits
};

// A state of the whole: agents, replicas of the endpoint, the database, one API server and what is
// on its way between them. Copied at each fork of a search, so that every order is tried.
class World {
 public:
  // What replicas do to the database is added to `works`, until commits are lost.
  explicit World(const Bounds& bounds, std::vector<Endpoint::Work>* works = nullptr);
  World(const World&) = default;

  // Everything that can happen next.
  [[nodiscard]] std::vector<Step> Steps() const;
  [[nodiscard]] bool Possible(const Step& step) const;
  // Does it. "" or which invariant is broken.
  std::string Take(const Step& step);
  // For a state in which nothing goes on by itself any more: "" or what is not as it must be then.
  [[nodiscard]] std::string AtRest() const;
  // Equal for two states that go on in the same way.
  [[nodiscard]] base::U128 Fingerprint() const;

 private:
  template <typename T>
  struct Message {
    explicit Message(T from)
        : value(std::make_shared<const T>(std::move(from))),
          fingerprint(FingerprintOf(value->SerializeAsString())) {}
    std::shared_ptr<const T> value;
    base::U128 fingerprint;
  };
  // An agent's session. After a cut only the endpoint's end is left, with what was on its way to
  // it.
  struct Link {
    int agent = 0;
    int replica = 0;
    Endpoint::SessionId session = 0;
    bool cut = false;
    std::deque<Message<v1::ChangesUp>> up;
    std::deque<Message<v1::ControlDown>> control;
    std::deque<Message<v1::ChangesDown>> changes;
  };

  void OutsideSteps(std::vector<Step>* steps) const;
  void AgentSteps(std::vector<Step>* steps) const;
  void EndpointSteps(std::vector<Step>* steps) const;
  void LinkSteps(std::vector<Step>* steps) const;
  std::string TakeOutside(const Step& step);
  void TakeTrouble(const Step& step);
  void TakeAgent(const Step& step);
  std::string TakeEndpoint(const Step& step);
  void TakeLink(const Step& step);
  void DeliverControl(Link* link);
  void DeliverChanges(Link* link);
  // Sends what agents and replicas have to say.
  void Carry();
  void DropAgentEnd(int agent);
  void LoseCommits(size_t count);
  [[nodiscard]] Endpoint::Rivals RivalsOf(int replica) const;
  std::string Work(int replica, bool in_doubt);
  // Invariants, after each commit and after each step.
  [[nodiscard]] std::string CheckCommit(const Database& before, const Endpoint::Work& work);
  [[nodiscard]] std::string CheckRows(const Database& before) const;
  [[nodiscard]] std::string CheckPosition() const;
  [[nodiscard]] std::string CheckSeen() const;
  [[nodiscard]] Link* LinkOf(int agent);
  [[nodiscard]] const Link* LinkOf(int agent) const;

  Bounds left_;  // of what may still happen
  Part<ApiServer> api_{ApiServer()};
  std::vector<Part<Agent>> agents_;
  std::vector<Part<Endpoint>> replicas_;
  std::vector<Link> links_;
  Part<Database> database_{Database()};
  std::deque<Part<Database>> past_;  // newest last; what can be lost
  // Nothing is written at the API server until its restore is noticed: nobody could tell it later
  // from what was written since alone.
  std::optional<uint64_t> frozen_in_;  // history
  // For the invariants.
  std::map<std::pair<uint64_t, uint64_t>, uint64_t> writers_;  // (epoch, term) -> who
  bool lossy_ = false;                                         // the database has lost commits
  std::vector<Endpoint::Work>* works_ = nullptr;
};

}  // namespace fairlead::model
