#pragma once

#include <string>

namespace fairlead::model {

// One thing that happens.
struct Step {
  enum class Kind {
    // What comes from outside, each as often as the bounds say.
    kPut,
    kDelete,
    kScript,
    kCompact,
    kAudit,
    kApiCut,
    kApiRestore,
    kDatabaseLoss,
    kAgentCrash,
    kEndpointCrash,
    kPause,
    kCut,
    kSilence,
    kWorkInDoubt,
    // What goes on by itself until nothing is left to do.
    kAgentStart,
    kEndpointStart,
    kResume,
    kConnect,
    kNotice,  // that the endpoint has fallen silent
    kEvent,
    kPage,
    kReadWanted,
    kAnswer,
    kDrain,
    kUp,     // a message, or the end, of an agent's stream comes to the endpoint
    kClose,  // the end comes, and what was on its way is lost
    kControlDown,
    kChangesDown,
    kBeat,
    kWork,
    kTakeAnswer,
    kTick,
  };
  Kind kind = Kind::kPut;
  int who = 0;    // agent, replica, link, object
  int which = 0;  // the other one

  [[nodiscard]] bool outside() const { return kind < Kind::kAgentStart; }
  friend bool operator==(const Step&, const Step&) = default;
};
std::string Describe(const Step& step);

}  // namespace fairlead::model
