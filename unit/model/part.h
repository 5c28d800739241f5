#pragma once

#include <xxhash.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "lib/base/hash.h"

namespace fairlead::model {

inline base::U128 FingerprintOf(const std::string& text) {
  const XXH128_hash_t hash = XXH3_128bits(text.data(), text.size());
  return {hash.high64, hash.low64};
}

// A part of a state. States share it until one changes it, and its fingerprint is taken once.
template <typename T>
class Part {
 public:
  explicit Part(T value) : value_(std::make_shared<T>(std::move(value))) {}

  const T& operator*() const { return *value_; }
  const T* operator->() const { return value_.get(); }
  // This state's own from now on.
  T& Change() {
    fingerprint_.reset();
    if (value_.use_count() > 1) value_ = std::make_shared<T>(*value_);
    return *value_;
  }
  // Of what T::Print() prints.
  [[nodiscard]] const base::U128& Fingerprint() const {
    if (!fingerprint_) {
      std::string text;
      value_->Print(&text);
      fingerprint_ = FingerprintOf(text);
    }
    return *fingerprint_;
  }

 private:
  std::shared_ptr<T> value_;
  mutable std::optional<base::U128> fingerprint_;
};

}  // namespace fairlead::model
