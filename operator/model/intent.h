#pragma once

#include <json/value.h>

#include <string>

// Comparing what we want with what is there, without writing. Pure.
namespace fairlead::op {

// Whether `live` has everything `intent` says: objects may have more members (defaults, other
// managers), lists must have the same elements in the same order. Quantities are equal when their
// amounts are ("1" and "1000m"): the server respells them.
bool Contains(const Json::Value& live, const Json::Value& intent);

// Where they differ first, for people: "spec.template.spec.containers[0].image"; "" if they do not.
std::string FirstDifference(const Json::Value& live, const Json::Value& intent);

// Stamps the intent annotation on an object to be applied.
void StampIntent(Json::Value* object);

// Whether `object` (stamped) must be applied to make `live` as it says. False positives cost a
// request, so the server's defaults and respellings are known here.
bool NeedsApply(const Json::Value& live, const Json::Value& object);

}  // namespace fairlead::op
