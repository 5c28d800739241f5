#include "unit/model/step.h"

#include "lib/base/strings.h"

namespace fairlead::model {

std::string Describe(const Step& step) {
  using Kind = Step::Kind;
  static constexpr struct {
    Kind kind;
    const char* name;
  } kNames[] = {
      {Kind::kPut, "put"},
      {Kind::kDelete, "delete"},
      {Kind::kScript, "next write, which leaves"},
      {Kind::kCompact, "the API server compacts"},
      {Kind::kAudit, "audit begins at agent"},
      {Kind::kApiCut, "the API server's connections are lost, agent"},
      {Kind::kApiRestore, "the API server is restored"},
      {Kind::kDatabaseLoss, "the database loses commits"},
      {Kind::kAgentCrash, "agent crashes"},
      {Kind::kEndpointCrash, "replica crashes"},
      {Kind::kPause, "replica is stopped"},
      {Kind::kCut, "connection is cut, agent"},
      {Kind::kSilence, "no beats on link"},
      {Kind::kWorkInDoubt, "writer commits, the answer is lost, replica"},
      {Kind::kAgentStart, "agent starts"},
      {Kind::kEndpointStart, "replica starts"},
      {Kind::kResume, "replica goes on"},
      {Kind::kConnect, "agent connects"},
      {Kind::kNotice, "silence of the replica is noticed, agent"},
      {Kind::kEvent, "event to agent"},
      {Kind::kPage, "page to agent"},
      {Kind::kReadWanted, "wanted body is read for agent"},
      {Kind::kAnswer, "wanted body to agent"},
      {Kind::kDrain, "batch from agent"},
      {Kind::kUp, "message up on link"},
      {Kind::kClose, "end of link"},
      {Kind::kControlDown, "control down on link"},
      {Kind::kChangesDown, "changes down on link"},
      {Kind::kBeat, "beat on link"},
      {Kind::kWork, "writer of replica works"},
      {Kind::kTakeAnswer, "writer's answer to replica"},
      {Kind::kTick, "tick of replica"},
  };
  std::string text;
  for (const auto& one : kNames) {
    if (one.kind == step.kind) text = base::StrCat(one.name, " ", step.who);
  }
  if (step.kind == Kind::kConnect) text += base::StrCat(" to replica ", step.which);
  return text;
}

}  // namespace fairlead::model
