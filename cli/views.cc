#include "cli/views.h"

#include "lib/base/strings.h"
#include "lib/json/dom.h"

namespace fairlead::cli {
namespace {

using base::StrCat;

std::string Joined(const std::vector<std::string>& items) {
  std::string out;
  for (const std::string& one : items) out += StrCat(out.empty() ? "" : ", ", one);
  return out;
}

std::string KindText(const Json::Value& object) {
  const std::string group = TextOf(object, "group");
  return StrCat(TextOf(object, "kind"), group.empty() ? "" : ".", group);
}

}  // namespace

std::string TextOf(const Json::Value& object, const char* key) {
  if (!object.isObject()) return "";
  const Json::Value& value = object[key];
  return value.isString() || value.isIntegral() ? value.asString() : "";
}

bool TrueOf(const Json::Value& object, const char* key) {
  return object.isObject() && object[key] == Json::Value(true);
}

std::vector<std::string> TextsOf(const Json::Value& object, const char* key) {
  std::vector<std::string> out;
  if (!object.isObject() || !object[key].isArray()) return out;
  for (const Json::Value& one : object[key]) {
    if (one.isString()) out.push_back(one.asString());
  }
  return out;
}

AccountPrinter::AccountPrinter(Output output, bool watch, bool several)
    : output_(output),
      watch_(watch),
      several_(several),
      table_({"NAME", "AGENT", "STANDBYS", "STATE", "VERSION", "KUBERNETES", "OWNER",
              "NOT WATCHING", "REFUSED"}) {}

std::string AccountPrinter::Print(const std::vector<AccountChange>& changes) {
  std::string text;
  Json::Value list(Json::arrayValue);
  for (const AccountChange& one : changes) {
    const Json::Value empty(Json::objectValue);
    const Json::Value& status = one.account.isObject() ? one.account["status"] : empty;
    if (output_ == Output::kTable) {
      const bool connected = TrueOf(status, "connected");
      table_.Add({one.name,
                  one.deleted ? "deleted"
                  : connected ? "connected"
                              : "none",
                  TextOf(status, "standbys"), TextOf(status, "state"),
                  TextOf(status, "agentVersion"), TextOf(status, "kubernetesVersion"),
                  TextOf(one.account, "owner"), Joined(TextsOf(status, "kinds")),
                  TextOf(status, "refused")});
    } else if (watch_) {
      Json::Value event;
      event["type"] = one.deleted ? "DELETED" : "PUT";
      event["name"] = one.name;
      if (!one.deleted) event["account"] = one.account;
      text += output_ == Output::kJson ? StrCat(ToJsonLine(event), "\n")
                                       : StrCat("---\n", ToYaml(event));
    } else {
      list.append(one.account);
    }
  }
  if (output_ == Output::kTable) return table_.Flush();
  if (watch_) return text;
  Json::Value whole;
  if (several_) {
    whole["accounts"] = list;
  } else if (!list.empty()) {
    whole = list[0];
  }
  return output_ == Output::kJson ? StrCat(ToJson(whole), "\n") : ToYaml(whole);
}

ObjectPrinter::ObjectPrinter(Output output, std::map<std::string, std::string> accounts)
    : output_(output),
      accounts_(std::move(accounts)),
      table_({"ACCOUNT", "NAMESPACE", "KIND", "NAME", "APPLICATION", "HELD"}) {}

std::string ObjectPrinter::Page(const Json::Value& objects) {
  std::string text;
  for (const Json::Value& one : objects) {
    const bool first = printed_++ == 0;
    if (output_ == Output::kTable) {
      const std::string uid = TextOf(one, "accountUid");
      const auto name = accounts_.find(uid);
      table_.Add({name == accounts_.end() ? uid : name->second, TextOf(one, "namespace"),
                  KindText(one), TextOf(one, "name"), TextOf(one, "application"),
                  TrueOf(one, "held") ? "held" : ""});
    } else if (output_ == Output::kJson) {
      text += StrCat(first ? "{\n  \"objects\": [\n    " : ",\n    ", ToJson(one, 4));
    } else {
      Json::Value item(Json::arrayValue);
      item.append(one);
      text += StrCat(first ? "objects:\n" : "", ToYaml(item));
    }
  }
  return output_ == Output::kTable && printed_ > 0 ? table_.Flush() : text;
}

std::string ObjectPrinter::Finish() {
  if (output_ == Output::kTable) return table_.Flush();
  if (output_ == Output::kYaml) return printed_ == 0 ? "objects: []\n" : "";
  return printed_ == 0 ? "{\n  \"objects\": []\n}\n" : "\n  ]\n}\n";
}

}  // namespace fairlead::cli
