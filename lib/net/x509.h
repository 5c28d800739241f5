#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

// Keys and certificates as PEM texts, over OpenSSL: what the endpoint's and the operator's
// certificate authorities and the agent's enrolment need. Keys are EC P-256.
//
// Any thread. Input is hostile until it was checked here: sizes are bounded (64 KiB of PEM), errors
// are InvalidArgument and never quote the input.
namespace fairlead::net {

struct KeyAndCertificate {
  std::string key_pem;
  std::string certificate_pem;
};

// What a certificate is to say. Serial numbers are random; not-before is set back by five minutes
// for clocks that differ.
struct CertificateSpec {
  std::string common_name;
  std::vector<std::string> dns;
  std::vector<std::string> ips;
  std::vector<std::string> uris;
  bool server = false;  // extended key usage; neither = none
  bool client = false;
  bool ca = false;
  int path_length = 0;  // with ca
  int64_t lifetime_seconds = 0;
};

struct CertificateInfo {
  std::string common_name;
  std::vector<std::string> dns;
  std::vector<std::string> uris;
  std::vector<std::string> ips;
  int64_t not_before = 0;  // seconds since the Unix epoch
  int64_t not_after = 0;
  bool ca = false;
};

// A new private key.
absl::StatusOr<std::string> NewKey();
// A self-signed certificate with a new key.
absl::StatusOr<KeyAndCertificate> SelfSigned(const CertificateSpec& spec);
// A certificate with a new key, signed by `issuer`.
absl::StatusOr<KeyAndCertificate> Issue(const CertificateSpec& spec,
                                        const KeyAndCertificate& issuer);

// A PKCS #10 request for `key_pem`; the name in it is for people.
absl::StatusOr<std::string> NewRequest(std::string_view key_pem, std::string_view common_name);
// Signs the public key of a request whose own signature holds; nothing else of it is used. EC P-256
// or P-384, or RSA of 2048 bits and more. Never outlives the issuer's certificate.
absl::StatusOr<std::string> SignRequest(std::string_view request_pem, const CertificateSpec& spec,
                                        const KeyAndCertificate& issuer);

// The first certificate of a chain.
absl::StatusOr<CertificateInfo> Describe(std::string_view certificate_pem);
// Whether `key_pem` belongs to the first certificate.
bool KeyFits(std::string_view key_pem, std::string_view certificate_pem);
// OK when the first certificate of `chain_pem` was signed, through the others, by one of
// `roots_pem` and is valid now. Purposes are not checked.
absl::Status VerifyChain(std::string_view chain_pem, std::string_view roots_pem);

}  // namespace fairlead::net
