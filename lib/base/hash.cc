#include "lib/base/hash.h"

#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

#include "lib/base/check.h"

namespace fairlead::base {
namespace {

U128 Load(const unsigned char* bytes) {
  U128 value;
  for (int i = 0; i < 8; ++i) value.hi = value.hi << 8 | bytes[i];
  for (int i = 8; i < 16; ++i) value.lo = value.lo << 8 | bytes[i];
  return value;
}

void Store(const U128& value, unsigned char* bytes) {
  for (int i = 0; i < 8; ++i) bytes[i] = static_cast<unsigned char>(value.hi >> (56 - 8 * i));
  for (int i = 0; i < 8; ++i) bytes[8 + i] = static_cast<unsigned char>(value.lo >> (56 - 8 * i));
}

std::string Hex(const unsigned char* bytes, size_t size) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  out.reserve(size * 2);
  for (size_t i = 0; i < size; ++i) {
    out += kDigits[bytes[i] >> 4];
    out += kDigits[bytes[i] & 15];
  }
  return out;
}

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

// Looked up once: a look-up by EVP_sha256() costs as much as hashing a kilobyte.
const EVP_MD* Sha256() {
  static const EVP_MD* const found = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  FAIRLEAD_CHECK(found != nullptr);
  return found;
}

const unsigned char* Bytes(std::string_view data) {
  return reinterpret_cast<const unsigned char*>(data.data());
}

}  // namespace

std::string ToBytes(const U128& value) {
  std::string out(16, '\0');
  Store(value, reinterpret_cast<unsigned char*>(out.data()));
  return out;
}

bool FromBytes(std::string_view bytes, U128* value) {
  if (bytes.size() != 16) return false;
  *value = Load(Bytes(bytes));
  return true;
}

std::string ToHex(const U128& value) {
  unsigned char bytes[16];
  Store(value, bytes);
  return Hex(bytes, sizeof bytes);
}

bool FromHex(std::string_view hex, U128* value) {
  if (hex.size() != 32) return false;
  unsigned char bytes[16];
  for (int i = 0; i < 16; ++i) {
    const int high = HexDigit(hex[2 * i]);
    const int low = HexDigit(hex[2 * i + 1]);
    if (high < 0 || low < 0) return false;
    bytes[i] = static_cast<unsigned char>(high << 4 | low);
  }
  *value = Load(bytes);
  return true;
}

U128 Sha256Trunc128(std::string_view data) {
  thread_local Sha256Trunc128Stream stream;
  stream.Add(data);
  return stream.Finish();
}

Sha256Trunc128Stream::Sha256Trunc128Stream() : context_(EVP_MD_CTX_new()) {
  FAIRLEAD_CHECK(context_ != nullptr);
  FAIRLEAD_CHECK(EVP_DigestInit_ex(static_cast<EVP_MD_CTX*>(context_), Sha256(), nullptr) == 1);
}

Sha256Trunc128Stream::~Sha256Trunc128Stream() {
  EVP_MD_CTX_free(static_cast<EVP_MD_CTX*>(context_));
}

void Sha256Trunc128Stream::Add(std::string_view data) {
  EVP_DigestUpdate(static_cast<EVP_MD_CTX*>(context_), data.data(), data.size());
}

U128 Sha256Trunc128Stream::Finish() {
  auto* context = static_cast<EVP_MD_CTX*>(context_);
  unsigned char digest[SHA256_DIGEST_LENGTH];
  FAIRLEAD_CHECK(EVP_DigestFinal_ex(context, digest, nullptr) == 1);
  FAIRLEAD_CHECK(EVP_DigestInit_ex(context, nullptr, nullptr) == 1);
  return Load(digest);
}

U128 ObjectKey(std::string_view group, std::string_view resource, std::string_view name_space,
               std::string_view name) {
  std::string buffer;
  buffer.reserve(16 + group.size() + resource.size() + name_space.size() + name.size());
  for (std::string_view part : {group, resource, name_space, name}) {
    const auto size = static_cast<uint32_t>(part.size());
    for (int shift = 24; shift >= 0; shift -= 8) buffer += static_cast<char>(size >> shift);
    buffer += part;
  }
  return Sha256Trunc128(buffer);
}

U128 SumTerm(const U128& key, const U128& content_hash) {
  unsigned char bytes[32];
  Store(key, bytes);
  Store(content_hash, bytes + 16);
  return Sha256Trunc128({reinterpret_cast<char*>(bytes), sizeof bytes});
}

U128 RandomU128() {
  unsigned char bytes[16];
  FAIRLEAD_CHECK(RAND_bytes(bytes, sizeof bytes) == 1);
  return Load(bytes);
}

std::string RandomHex(int bytes) {
  std::string raw(static_cast<size_t>(bytes), '\0');
  FAIRLEAD_CHECK(RAND_bytes(reinterpret_cast<unsigned char*>(raw.data()), bytes) == 1);
  return Hex(Bytes(raw), raw.size());
}

std::string Sha256Hex(std::string_view data) {
  unsigned char digest[SHA256_DIGEST_LENGTH];
  FAIRLEAD_CHECK(EVP_Digest(data.data(), data.size(), digest, nullptr, Sha256(), nullptr) == 1);
  return Hex(digest, sizeof digest);
}

}  // namespace fairlead::base
