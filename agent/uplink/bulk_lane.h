#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>

#include "agent/uplink/backlog.h"
#include "api/fairlead/agent/v1/agent.pb.h"
#include "lib/base/loop.h"
#include "lib/wire/pacer.h"
#include "lib/wire/transport.h"

namespace fairlead::agent {

// The Changes stream of one session, paced: messages go out in order, large ones in fragments, as
// wire::Pacer allows, so that Control on the same connection is never far behind.
//
// Loop thread only. Bounds: what waits is counted in the backlog, which its filler asks.
class BulkLane {
 public:
  // `pace`: the endpoint answers marks and takes fragments; without, everything goes at once.
  BulkLane(std::unique_ptr<wire::StreamSender<v1::ChangesUp>> sender, bool pace, Backlog* backlog,
           base::Loop* loop);
  // What waits is dropped with the session.
  ~BulkLane();

  // `counted`: the bytes of it that were added to the backlog.
  // True: the backlog has room again and had none.
  [[nodiscard]] bool Send(v1::ChangesUp message, size_t counted);
  [[nodiscard]] bool OnMark(uint64_t number);
  void OnRoundTrip(base::Duration took) { pacer_.OnRoundTrip(took, loop_->clock().Now()); }
  [[nodiscard]] size_t window() const { return pacer_.window(); }

 private:
  struct Waiting {
    v1::ChangesUp message;
    size_t counted = 0;
  };
  bool Pump();
  void Mark(base::Time now);
  void Split(size_t piece_bytes);

  const std::unique_ptr<wire::StreamSender<v1::ChangesUp>> sender_;
  const bool pace_;
  Backlog* const backlog_;
  base::Loop* const loop_;
  wire::Pacer pacer_;
  std::deque<Waiting> waiting_;
};

}  // namespace fairlead::agent
