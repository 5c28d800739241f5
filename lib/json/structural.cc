#include "lib/json/structural.h"

#include <simdjson.h>

#include <algorithm>

#include "lib/base/status.h"

namespace fairlead::json {
namespace {

constexpr size_t kSmall = size_t{64} << 10;
// So many small texts in a row give the memory of a large one back.
constexpr int kShrinkAfter = 64;

absl::Status Refusal(simdjson::error_code code) {
  switch (code) {
    case simdjson::UTF8_ERROR:
      return absl::InvalidArgumentError("JSON: not valid UTF-8");
    case simdjson::UNCLOSED_STRING:
      return absl::InvalidArgumentError("JSON: a string is not closed");
    case simdjson::UNESCAPED_CHARS:
      return absl::InvalidArgumentError("JSON: a control byte stands in a string");
    case simdjson::EMPTY:
      return absl::InvalidArgumentError("JSON: empty");
    case simdjson::MEMALLOC:
      return absl::ResourceExhaustedError("JSON: no memory for the index");
    default:
      return absl::InvalidArgumentError("JSON: malformed");
  }
}

}  // namespace

struct StructuralIndex::Impl {
  std::unique_ptr<simdjson::internal::dom_parser_implementation> parser;
};

StructuralIndex::StructuralIndex() : impl_(std::make_unique<Impl>()) {}
StructuralIndex::~StructuralIndex() = default;

absl::Status StructuralIndex::Reserve(size_t bytes) {
  small_in_a_row_ = bytes <= kSmall ? small_in_a_row_ + 1 : 0;
  const bool shrink = capacity_ > kSmall && small_in_a_row_ >= kShrinkAfter;
  if (bytes <= capacity_ && !shrink) return absl::OkStatus();
  const size_t wanted = shrink ? kSmall : std::max({bytes, capacity_ + capacity_ / 2, kSmall});
  impl_->parser.reset();
  capacity_ = 0;
  // The depth serves simdjson's second stage only, which is not used.
  const auto code = simdjson::get_active_implementation()->create_dom_parser_implementation(
      wanted, 1, impl_->parser);
  if (code != simdjson::SUCCESS) return Refusal(code);
  capacity_ = wanted;
  return absl::OkStatus();
}

absl::Status StructuralIndex::Build(std::string_view text) {
  count_ = 0;
  if (text.empty()) return Refusal(simdjson::EMPTY);
  if (text.size() > kMaxBytes) return absl::ResourceExhaustedError("JSON: more than 64 MiB");
  FAIRLEAD_RETURN_IF_ERROR(Reserve(text.size()));
  const auto code = impl_->parser->stage1(reinterpret_cast<const uint8_t*>(text.data()),
                                          text.size(), simdjson::stage1_mode::regular);
  if (code != simdjson::SUCCESS) return Refusal(code);
  tokens_ = impl_->parser->structural_indexes.get();
  count_ = impl_->parser->n_structural_indexes;
  return absl::OkStatus();
}

}  // namespace fairlead::json
