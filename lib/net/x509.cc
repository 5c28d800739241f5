#include "lib/net/x509.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <ctime>
#include <memory>

#include "lib/base/status.h"
#include "lib/base/strings.h"

namespace fairlead::net {
namespace {

constexpr size_t kMaxPemBytes = size_t{64} << 10;
constexpr int64_t kBackdateSeconds = 300;

template <auto Free>
struct Deleter {
  template <typename T>
  void operator()(T* value) const {
    Free(value);
  }
};
using KeyPtr = std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY_free>>;
using CertPtr = std::unique_ptr<X509, Deleter<X509_free>>;
using RequestPtr = std::unique_ptr<X509_REQ, Deleter<X509_REQ_free>>;
using BioPtr = std::unique_ptr<BIO, Deleter<BIO_free_all>>;
using ExtensionPtr = std::unique_ptr<X509_EXTENSION, Deleter<X509_EXTENSION_free>>;
using StorePtr = std::unique_ptr<X509_STORE, Deleter<X509_STORE_free>>;
using StoreContextPtr = std::unique_ptr<X509_STORE_CTX, Deleter<X509_STORE_CTX_free>>;
using NumberPtr = std::unique_ptr<BIGNUM, Deleter<BN_free>>;

absl::Status Failed(std::string_view what) {
  ERR_clear_error();
  return absl::InvalidArgumentError(base::StrCat(what));
}

BioPtr Reading(std::string_view pem) {
  if (pem.size() > kMaxPemBytes) return nullptr;
  return BioPtr(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
}

std::string Text(BIO* bio) {
  char* data = nullptr;
  const int64_t size = BIO_get_mem_data(bio, &data);
  return size > 0 ? std::string(data, static_cast<size_t>(size)) : std::string();
}

// No passphrase is ever asked for on a terminal.
int NoPassphrase(char*, int, int, void*) { return -1; }

KeyPtr ReadKey(std::string_view pem) {
  const BioPtr bio = Reading(pem);
  return KeyPtr(bio ? PEM_read_bio_PrivateKey(bio.get(), nullptr, NoPassphrase, nullptr) : nullptr);
}

CertPtr ReadCertificate(std::string_view pem) {
  const BioPtr bio = Reading(pem);
  return CertPtr(bio ? PEM_read_bio_X509(bio.get(), nullptr, NoPassphrase, nullptr) : nullptr);
}

std::vector<CertPtr> ReadCertificates(std::string_view pem) {
  std::vector<CertPtr> all;
  const BioPtr bio = Reading(pem);
  while (bio) {
    CertPtr one(PEM_read_bio_X509(bio.get(), nullptr, NoPassphrase, nullptr));
    if (!one) break;
    all.push_back(std::move(one));
  }
  ERR_clear_error();
  return all;
}

absl::StatusOr<std::string> KeyPem(EVP_PKEY* key) {
  const BioPtr bio(BIO_new(BIO_s_mem()));
  if (PEM_write_bio_PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr) != 1) {
    return Failed("cannot write the key");
  }
  return Text(bio.get());
}

absl::StatusOr<std::string> CertificatePem(X509* certificate) {
  const BioPtr bio(BIO_new(BIO_s_mem()));
  if (PEM_write_bio_X509(bio.get(), certificate) != 1)
    return Failed("cannot write the certificate");
  return Text(bio.get());
}

bool Add(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  const ExtensionPtr extension(X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()));
  return extension && X509_add_ext(certificate, extension.get(), -1) == 1;
}

// A name that could smuggle another entry into OpenSSL's comma-separated list is refused.
bool AppendNames(std::string_view kind, const std::vector<std::string>& names, std::string* out) {
  for (const std::string& name : names) {
    const bool plain = std::all_of(name.begin(), name.end(), [](char c) {
      return c > ' ' && c < 0x7f && c != ',' && c != ';' && c != '"' && c != '\\';
    });
    if (name.empty() || name.size() > 253 || !plain) return false;
    *out += base::StrCat(out->empty() ? "" : ",", kind, ":", name);
  }
  return true;
}

bool AddExtensions(X509* certificate, X509* issuer, const CertificateSpec& spec) {
  std::string names;
  if (!AppendNames("DNS", spec.dns, &names) || !AppendNames("IP", spec.ips, &names) ||
      !AppendNames("URI", spec.uris, &names)) {
    return false;
  }
  std::string usages = spec.server ? "serverAuth" : "";
  if (spec.client) usages += usages.empty() ? "clientAuth" : ",clientAuth";
  const std::string constraints =
      spec.ca ? base::StrCat("critical,CA:TRUE,pathlen:", spec.path_length) : "critical,CA:FALSE";
  const char* use = spec.ca ? "critical,keyCertSign,cRLSign" : "critical,digitalSignature";
  return Add(certificate, issuer, NID_basic_constraints, constraints) &&
         Add(certificate, issuer, NID_key_usage, use) &&
         Add(certificate, issuer, NID_subject_key_identifier, "hash") &&
         (issuer == certificate ||
          Add(certificate, issuer, NID_authority_key_identifier, "keyid:always")) &&
         (usages.empty() || Add(certificate, issuer, NID_ext_key_usage, usages)) &&
         (names.empty() || Add(certificate, issuer, NID_subject_alt_name, names));
}

bool SetSerial(X509* certificate) {
  const NumberPtr number(BN_new());
  return number && BN_rand(number.get(), 127, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) == 1 &&
         BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) != nullptr;
}

int64_t Seconds(const ASN1_TIME* time) {
  std::tm parts{};
  return ASN1_TIME_to_tm(time, &parts) == 1 ? timegm(&parts) : 0;
}

// `issuer` null: self-signed with `signer`, which is then also the subject's key.
absl::StatusOr<CertPtr> Make(const CertificateSpec& spec, EVP_PKEY* subject, X509* issuer,
                             EVP_PKEY* signer) {
  CertPtr certificate(X509_new());
  X509* from = issuer == nullptr ? certificate.get() : issuer;
  const int64_t now = std::time(nullptr);
  int64_t until = now + spec.lifetime_seconds;
  if (issuer != nullptr) until = std::min(until, Seconds(X509_get0_notAfter(issuer)));
  if (spec.lifetime_seconds <= 0 || until <= now) {
    return absl::FailedPreconditionError("the issuing certificate has expired");
  }
  X509_NAME* subject_name = X509_get_subject_name(certificate.get());
  const bool made =
      X509_set_version(certificate.get(), X509_VERSION_3) == 1 && SetSerial(certificate.get()) &&
      ASN1_TIME_set(X509_getm_notBefore(certificate.get()), now - kBackdateSeconds) != nullptr &&
      ASN1_TIME_set(X509_getm_notAfter(certificate.get()), until) != nullptr &&
      X509_NAME_add_entry_by_txt(subject_name, "CN", MBSTRING_UTF8,
                                 reinterpret_cast<const unsigned char*>(spec.common_name.data()),
                                 static_cast<int>(spec.common_name.size()), -1, 0) == 1 &&
      X509_set_issuer_name(certificate.get(), X509_get_subject_name(from)) == 1 &&
      X509_set_pubkey(certificate.get(), subject) == 1 &&
      AddExtensions(certificate.get(), from, spec) &&
      X509_sign(certificate.get(), signer, EVP_sha256()) > 0;
  if (!made) return Failed("cannot make the certificate: a name in it is not acceptable");
  return certificate;
}

struct Issuer {
  KeyPtr key;
  CertPtr certificate;
};

absl::StatusOr<Issuer> ReadIssuer(const KeyAndCertificate& pem) {
  Issuer issuer{ReadKey(pem.key_pem), ReadCertificate(pem.certificate_pem)};
  if (!issuer.key) return Failed("the issuer's key is not a readable private key");
  if (!issuer.certificate) return Failed("the issuer's certificate is not readable");
  if (X509_check_private_key(issuer.certificate.get(), issuer.key.get()) != 1) {
    return Failed("the issuer's key does not belong to its certificate");
  }
  if (X509_check_ca(issuer.certificate.get()) == 0) {
    return Failed("the issuer's certificate may not sign certificates");
  }
  return issuer;
}

bool StrongEnough(EVP_PKEY* key) {
  const int bits = EVP_PKEY_get_bits(key);
  switch (EVP_PKEY_get_base_id(key)) {
    case EVP_PKEY_EC:
      return bits == 256 || bits == 384;
    case EVP_PKEY_RSA:
      return bits >= 2048 && bits <= 8192;
    default:
      return false;
  }
}

void ReadNames(X509* certificate, CertificateInfo* info) {
  auto* names = static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr));
  for (int i = 0; names != nullptr && i < sk_GENERAL_NAME_num(names); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names, i);
    if (name->type == GEN_IPADD) {
      char text[INET6_ADDRSTRLEN] = "";
      const int size = ASN1_STRING_length(name->d.iPAddress);
      if (size != 4 && size != 16) continue;  // inet_ntop would read beyond it
      const bool six = size == 16;
      inet_ntop(six ? AF_INET6 : AF_INET, ASN1_STRING_get0_data(name->d.iPAddress), text,
                sizeof text);
      info->ips.emplace_back(text);
    } else if (name->type == GEN_DNS || name->type == GEN_URI) {
      const ASN1_IA5STRING* text = name->d.ia5;
      (name->type == GEN_DNS ? info->dns : info->uris)
          .emplace_back(reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
                        static_cast<size_t>(ASN1_STRING_length(text)));
    }
  }
  GENERAL_NAMES_free(names);
}

}  // namespace

absl::StatusOr<std::string> NewKey() {
  const KeyPtr key(EVP_EC_gen("P-256"));
  if (!key) return Failed("cannot make a key");
  return KeyPem(key.get());
}

absl::StatusOr<KeyAndCertificate> SelfSigned(const CertificateSpec& spec) {
  FAIRLEAD_ASSIGN_OR_RETURN(std::string key_pem, NewKey());
  const KeyPtr key = ReadKey(key_pem);
  FAIRLEAD_ASSIGN_OR_RETURN(const CertPtr made, Make(spec, key.get(), nullptr, key.get()));
  FAIRLEAD_ASSIGN_OR_RETURN(std::string pem, CertificatePem(made.get()));
  return KeyAndCertificate{std::move(key_pem), std::move(pem)};
}

absl::StatusOr<KeyAndCertificate> Issue(const CertificateSpec& spec,
                                        const KeyAndCertificate& issuer_pem) {
  FAIRLEAD_ASSIGN_OR_RETURN(const Issuer issuer, ReadIssuer(issuer_pem));
  FAIRLEAD_ASSIGN_OR_RETURN(std::string key_pem, NewKey());
  const KeyPtr key = ReadKey(key_pem);
  FAIRLEAD_ASSIGN_OR_RETURN(const CertPtr made,
                            Make(spec, key.get(), issuer.certificate.get(), issuer.key.get()));
  FAIRLEAD_ASSIGN_OR_RETURN(std::string pem, CertificatePem(made.get()));
  return KeyAndCertificate{std::move(key_pem), std::move(pem)};
}

absl::StatusOr<std::string> NewRequest(std::string_view key_pem, std::string_view common_name) {
  const KeyPtr key = ReadKey(key_pem);
  if (!key) return Failed("not a readable private key");
  const RequestPtr request(X509_REQ_new());
  const bool made =
      X509_NAME_add_entry_by_txt(X509_REQ_get_subject_name(request.get()), "CN", MBSTRING_UTF8,
                                 reinterpret_cast<const unsigned char*>(common_name.data()),
                                 static_cast<int>(common_name.size()), -1, 0) == 1 &&
      X509_REQ_set_pubkey(request.get(), key.get()) == 1 &&
      X509_REQ_sign(request.get(), key.get(), EVP_sha256()) > 0;
  if (!made) return Failed("cannot make the certificate request");
  const BioPtr bio(BIO_new(BIO_s_mem()));
  if (PEM_write_bio_X509_REQ(bio.get(), request.get()) != 1)
    return Failed("cannot write the request");
  return Text(bio.get());
}

absl::StatusOr<std::string> SignRequest(std::string_view request_pem, const CertificateSpec& spec,
                                        const KeyAndCertificate& issuer_pem) {
  const BioPtr bio = Reading(request_pem);
  const RequestPtr request(bio ? PEM_read_bio_X509_REQ(bio.get(), nullptr, NoPassphrase, nullptr)
                               : nullptr);
  if (!request) return Failed("the certificate request is not readable");
  EVP_PKEY* key = X509_REQ_get0_pubkey(request.get());
  if (key == nullptr || X509_REQ_verify(request.get(), key) != 1) {
    return Failed("the certificate request is not signed by its own key");
  }
  if (!StrongEnough(key)) return Failed("the request's key must be EC P-256 or P-384, or RSA 2048");
  FAIRLEAD_ASSIGN_OR_RETURN(const Issuer issuer, ReadIssuer(issuer_pem));
  FAIRLEAD_ASSIGN_OR_RETURN(const CertPtr made,
                            Make(spec, key, issuer.certificate.get(), issuer.key.get()));
  return CertificatePem(made.get());
}

absl::StatusOr<CertificateInfo> Describe(std::string_view certificate_pem) {
  const CertPtr certificate = ReadCertificate(certificate_pem);
  if (!certificate) return Failed("not a readable certificate");
  CertificateInfo info;
  info.not_before = Seconds(X509_get0_notBefore(certificate.get()));
  info.not_after = Seconds(X509_get0_notAfter(certificate.get()));
  info.ca = X509_check_ca(certificate.get()) != 0;
  char name[256] = "";
  X509_NAME_get_text_by_NID(X509_get_subject_name(certificate.get()), NID_commonName, name,
                            sizeof name);
  info.common_name = name;
  ReadNames(certificate.get(), &info);
  return info;
}

bool KeyFits(std::string_view key_pem, std::string_view certificate_pem) {
  const KeyPtr key = ReadKey(key_pem);
  const CertPtr certificate = ReadCertificate(certificate_pem);
  const bool fits = key && certificate && X509_check_private_key(certificate.get(), key.get()) == 1;
  ERR_clear_error();
  return fits;
}

absl::Status VerifyChain(std::string_view chain_pem, std::string_view roots_pem) {
  const std::vector<CertPtr> chain = ReadCertificates(chain_pem);
  const std::vector<CertPtr> roots = ReadCertificates(roots_pem);
  if (chain.empty()) return Failed("not a readable certificate chain");
  const StorePtr store(X509_STORE_new());
  for (const CertPtr& root : roots) X509_STORE_add_cert(store.get(), root.get());
  STACK_OF(X509)* others = sk_X509_new_null();
  for (size_t i = 1; i < chain.size(); ++i) sk_X509_push(others, chain[i].get());
  const StoreContextPtr context(X509_STORE_CTX_new());
  X509_STORE_CTX_init(context.get(), store.get(), chain[0].get(), others);
  const bool good = X509_verify_cert(context.get()) == 1;
  const std::string why = X509_verify_cert_error_string(X509_STORE_CTX_get_error(context.get()));
  sk_X509_free(others);
  if (good) return absl::OkStatus();
  return Failed(base::StrCat("the certificate is not trusted: ", why));
}

}  // namespace fairlead::net
