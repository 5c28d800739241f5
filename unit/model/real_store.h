#pragma once

#include <memory>
#include <string>
#include <vector>

#include "endpoint/store/store.h"
#include "endpoint/store/writer.h"
#include "lib/base/clock.h"
#include "unit/model/endpoint.h"

namespace fairlead::model {

// The real Store and Writer on SQLite, to be asked whether they do what model::Database did.
class RealStore {
 public:
  // `database` is a file that is not there yet.
  explicit RealStore(const std::string& database);
  ~RealStore();

  // Does the same in a shard of its own. "" or the first difference: of a result, or of what is in
  // the tables then.
  std::string Compare(const std::vector<Endpoint::Work>& works);

 private:
  std::string CompareOne(const store::ShardKey& shard, const Endpoint::Work& work);
  std::string Tables(const store::ShardKey& shard);

  base::ManualClock clock_;
  std::unique_ptr<store::Store> store_;
  std::vector<std::unique_ptr<store::Writer>> writers_;  // by replica
  uint64_t shards_ = 0;
};

}  // namespace fairlead::model
