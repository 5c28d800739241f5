#pragma once

#include <json/value.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "cli/arguments.h"
#include "cli/render.h"

// The endpoint's answers (docs/reference/rest.md) as text, piece by piece. Pure; a member that is
// missing or of another type reads as empty.
namespace fairlead::cli {

std::string TextOf(const Json::Value& object, const char* key);
bool TrueOf(const Json::Value& object, const char* key);
std::vector<std::string> TextsOf(const Json::Value& object, const char* key);

// One account as GET /v1/accounts and its watch give it, or that it is gone.
struct AccountChange {
  std::string name;
  bool deleted = false;
  Json::Value account;
};

class AccountPrinter {
 public:
  // `watch`: one JSON line or YAML document for each change, as there is no end; `several`: a list
  // {"accounts": [...]}, else the account alone.
  AccountPrinter(Output output, bool watch, bool several);
  std::string Print(const std::vector<AccountChange>& changes);

 private:
  Output output_;
  bool watch_;
  bool several_;
  Table table_;
};

// Prints page after page, so that memory does not grow with the answer; Finish() once, last.
class ObjectPrinter {
 public:
  // `accounts`: names by uid, for the table.
  ObjectPrinter(Output output, std::map<std::string, std::string> accounts);
  std::string Page(const Json::Value& objects);
  std::string Finish();

 private:
  Output output_;
  std::map<std::string, std::string> accounts_;
  Table table_;
  size_t printed_ = 0;
};

}  // namespace fairlead::cli
