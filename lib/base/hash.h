#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

// 128-bit values: object keys, content hashes, account uids, and their sums.
// Keys and hashes are SHA-256 truncated to its first 16 bytes (DESIGN section 11): rows decide
// promotions, so a hash that can be forged is not enough.
namespace fairlead::base {

struct U128 {
  uint64_t hi = 0;
  uint64_t lo = 0;

  // NOLINTNEXTLINE(modernize-use-nullptr): clang-tidy 14 takes the comparison with 0 for a pointer.
  friend auto operator<=>(const U128&, const U128&) = default;
  // Modulo 2^128.
  U128& operator+=(const U128& other) {
    lo += other.lo;
    hi += other.hi + (lo < other.lo ? 1 : 0);
    return *this;
  }
  U128& operator-=(const U128& other) {
    hi -= other.hi + (lo < other.lo ? 1 : 0);
    lo -= other.lo;
    return *this;
  }
  template <typename H>
  friend H AbslHashValue(H h, const U128& v) {
    return H::combine(std::move(h), v.hi, v.lo);
  }
};

// 16 bytes, big endian. FromBytes returns false unless `bytes` has exactly 16.
std::string ToBytes(const U128& value);
bool FromBytes(std::string_view bytes, U128* value);
// 32 lower-case hexadecimal digits.
std::string ToHex(const U128& value);
bool FromHex(std::string_view hex, U128* value);

// First 16 bytes of SHA-256.
U128 Sha256Trunc128(std::string_view data);

// Streaming form of the same hash, reusable after Finish(). Not thread-safe.
class Sha256Trunc128Stream {
 public:
  Sha256Trunc128Stream();
  ~Sha256Trunc128Stream();
  Sha256Trunc128Stream(const Sha256Trunc128Stream&) = delete;
  Sha256Trunc128Stream& operator=(const Sha256Trunc128Stream&) = delete;
  void Add(std::string_view data);
  U128 Finish();

 private:
  void* context_;
};

// Object key of DESIGN section 11: hash over (group, resource plural, namespace, name), each as a
// 4-byte big-endian length and its bytes. Never kind or version.
U128 ObjectKey(std::string_view group, std::string_view resource, std::string_view name_space,
               std::string_view name);

// What one object adds to the sum of its kind: hash over key bytes and content hash bytes.
U128 SumTerm(const U128& key, const U128& content_hash);

// Random value from the operating system's generator.
U128 RandomU128();
// `bytes` random bytes as lower-case hex, for tokens.
std::string RandomHex(int bytes);
// SHA-256 as 64 lower-case hexadecimal digits.
std::string Sha256Hex(std::string_view data);

}  // namespace fairlead::base
