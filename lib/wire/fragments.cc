#include "lib/wire/fragments.h"

#include <algorithm>

#include "lib/base/strings.h"

namespace fairlead::wire {

namespace v1 = fairlead::agent::v1;

std::vector<v1::ChangesUp> Fragments(const v1::ChangesUp& message, size_t piece_bytes) {
  const std::string bytes = message.SerializeAsString();
  std::vector<v1::ChangesUp> pieces;
  for (size_t at = 0; at < bytes.size(); at += piece_bytes) {
    v1::Fragment* piece = pieces.emplace_back().mutable_fragment();
    piece->set_data(bytes.substr(at, piece_bytes));
    piece->set_last(at + piece_bytes >= bytes.size());
  }
  return pieces;
}

absl::StatusOr<std::optional<v1::ChangesUp>> FragmentJoiner::Add(const v1::Fragment& fragment) {
  if (fragment.data().size() > most_bytes_ - bytes_.size()) {
    return absl::ResourceExhaustedError(
        base::StrCat("a message in fragments has more than ", most_bytes_, " bytes"));
  }
  bytes_ += fragment.data();
  if (!fragment.last()) return std::nullopt;
  v1::ChangesUp message;
  const bool parsed = message.ParseFromString(bytes_);
  bytes_ = {};
  if (!parsed || message.has_fragment()) {
    return absl::InvalidArgumentError("fragments that are no message together");
  }
  return message;
}

}  // namespace fairlead::wire
