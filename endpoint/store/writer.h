#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "endpoint/store/types.h"
#include "lib/base/clock.h"

namespace fairlead::sql {
class Connection;
}

namespace fairlead::endpoint::store {

struct WriterOptions {
  std::string replica;                   // Store::replica(); only what that one holds is written
  size_t max_snapshot_keys = 8'000'000;  // all snapshots under way together; 32 bytes each
  int64_t max_objects = 1'000'000;       // of one shard; what is beyond is refused
  int compression_level = 1;             // zstd
};

// Lands batches of many accounts in one SQL transaction (DESIGN section 2, invariants 1 to 4).
//
// Guarantees: rows, positions, counts and sums of a batch are committed together with its shard's
//   last_seq, or not at all; each batch is applied at most once and in order of seq; a batch of
//   another epoch or term, or after a gap, lands nothing; a row the store cannot take is refused
//   alone; a batch that breaks the protocol fails with its shard's later ones and hurts no other
//   shard; a row of an unchanged hash is not written; an older (history, resourceVersion) never
//   overwrites; rows go only by a delete or at the end of a complete snapshot, and then only rows
//   not written or seen since Begin.
// Assumes: batches of one shard are given in the order they came; shards exist
// (Store::CreateShard). Threads: one, the store's. Memory: 32 bytes a key of each snapshot under
// way, and a batch's keys. Tests: unit/endpoint/store/writer_test.cc, batch_rows_test.cc.
class Writer {
 public:
  Writer(sql::Connection* connection, const base::Clock* clock, const WriterOptions& options);
  ~Writer();
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  // OK: decided; `results` has one for each batch, in order. Otherwise nothing is committed and the
  // same batches may be given again (ResourceExhausted = full disk, Unavailable = busy or I/O
  // error).
  absl::Status Write(const std::vector<Batch>& batches, std::vector<BatchResult>* results);

  // With each new term: drops the snapshots under way of a shard, whose pages are refused from now
  // on, and what is remembered of its rows.
  void ForgetShard(const ShardKey& shard);
  [[nodiscard]] size_t snapshot_keys() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace fairlead::endpoint::store
