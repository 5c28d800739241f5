#include "agent/uplink/bulk_lane.h"

#include <utility>
#include <vector>

#include "lib/wire/fragments.h"

namespace fairlead::agent {

BulkLane::BulkLane(std::unique_ptr<wire::StreamSender<v1::ChangesUp>> sender, bool pace,
                   Backlog* backlog, base::Loop* loop)
    : sender_(std::move(sender)), pace_(pace), backlog_(backlog), loop_(loop), pacer_({}) {
  (void)backlog_->SetLimit(pace_ ? pacer_.window() : SIZE_MAX);
}

BulkLane::~BulkLane() {
  for (const Waiting& one : waiting_) (void)backlog_->Remove(one.counted);
}

bool BulkLane::Send(v1::ChangesUp message, size_t counted) {
  if (!pace_) {
    sender_->Send(std::move(message));
    return backlog_->Remove(counted);
  }
  waiting_.push_back({std::move(message), counted});
  return Pump();
}

bool BulkLane::OnMark(uint64_t number) {
  pacer_.OnMark(number, loop_->clock().Now());
  const bool wider = backlog_->SetLimit(pacer_.window());
  return Pump() || wider;
}

bool BulkLane::Pump() {
  bool room = false;
  const base::Time now = loop_->clock().Now();
  while (!waiting_.empty()) {
    const size_t bytes = waiting_.front().message.ByteSizeLong();
    if (bytes > pacer_.piece_bytes() && !waiting_.front().message.has_fragment()) {
      Split(pacer_.piece_bytes());
      continue;
    }
    if (!pacer_.MaySend(bytes, now)) break;
    sender_->Send(std::move(waiting_.front().message));
    room = backlog_->Remove(waiting_.front().counted) || room;
    waiting_.pop_front();
    pacer_.OnSent(bytes);
    Mark(now);
  }
  Mark(now);
  return room;
}

void BulkLane::Mark(base::Time now) {
  const auto number = pacer_.TakeMark(now);
  if (!number) return;
  v1::ChangesUp message;
  message.mutable_mark()->set_number(*number);
  sender_->Send(std::move(message));
}

// The first of what waits; its last piece takes what was counted.
void BulkLane::Split(size_t piece_bytes) {
  Waiting whole = std::move(waiting_.front());
  waiting_.pop_front();
  std::vector<v1::ChangesUp> pieces = wire::Fragments(whole.message, piece_bytes);
  for (auto piece = pieces.rbegin(); piece != pieces.rend(); ++piece) {
    waiting_.push_front({std::move(*piece), std::exchange(whole.counted, 0)});
  }
}

}  // namespace fairlead::agent
