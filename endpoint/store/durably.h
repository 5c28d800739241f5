#pragma once

#include "absl/status/status.h"
#include "lib/base/status.h"
#include "lib/sql/connection.h"

namespace fairlead::endpoint::store {

// Runs `work`, which returns a status, in a transaction that survives power loss; an error of its
// rolls back. Inside one already it is part of that.
template <typename Work>
absl::Status Durably(sql::Connection& db, Work&& work) {
  if (db.InTransaction()) return work();
  FAIRLEAD_RETURN_IF_ERROR(db.SetDurability(sql::Durability::kFull));
  sql::Transaction transaction(&db);
  FAIRLEAD_RETURN_IF_ERROR(transaction.Begin());
  FAIRLEAD_RETURN_IF_ERROR(work());
  return transaction.Commit();
}

}  // namespace fairlead::endpoint::store
