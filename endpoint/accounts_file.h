#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "endpoint/registry/registry.h"
#include "endpoint/store/writer_thread.h"

namespace fairlead::endpoint {

// Accounts of a file, for set-ups without the operator: {"accounts": [{"name": ..., "spec": ...}]}
// in JSON, owner "file". Read at start; an account that left the file since is deleted by name and
// uid through REST, never by its absence here (invariant 4).
class AccountsFile {
 public:
  AccountsFile(std::string path, store::WriterThread* writer, registry::Registry* registry)
      : path_(std::move(path)), writer_(writer), registry_(registry) {}
  // Waits for the writer. The first problem names the account and the key.
  absl::Status Load();

 private:
  std::string path_;
  store::WriterThread* writer_;
  registry::Registry* registry_;
};

}  // namespace fairlead::endpoint
