#include "bench/corpus.h"

#include <algorithm>
#include <cstdio>

#include "lib/base/backoff.h"

namespace fairlead::bench {
namespace {

using base::NextRandom;

std::string Hex(uint64_t* random, int digits) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  for (int i = 0; i < digits; ++i) out += kDigits[NextRandom(random) >> 60];
  return out;
}

std::string Uid(uint64_t* random) {
  return Hex(random, 8) + "-" + Hex(random, 4) + "-4" + Hex(random, 3) + "-a" + Hex(random, 3) +
         "-" + Hex(random, 12);
}

std::string Address(uint64_t* random) {
  const uint64_t r = NextRandom(random);
  return "10." + std::to_string(r & 255) + "." + std::to_string(r >> 8 & 255) + "." +
         std::to_string(r >> 16 & 255);
}

std::string Instant(uint64_t* random) {
  const uint64_t r = NextRandom(random);
  char text[32];
  std::snprintf(text, sizeof text, "2026-%02d-%02dT%02d:%02d:%02dZ", static_cast<int>(r % 12) + 1,
                static_cast<int>(r >> 8 & 15) + 1, static_cast<int>(r >> 16 & 15),
                static_cast<int>((r >> 24) % 60), static_cast<int>((r >> 32) % 60));
  return text;
}

std::string Container(uint64_t* random, int number) {
  std::string out = R"({"name":"app-)" + std::to_string(number) +
                    R"(","image":"registry.example/shop/app@sha256:)" + Hex(random, 64) +
                    R"(","ports":[{"name":"http","containerPort":8080,"protocol":"TCP"}],"env":[)";
  for (int i = 0; i < 12; ++i) {
    if (i > 0) out += ',';
    out += R"({"name":"SETTING_)" + std::to_string(i) + R"(","value":")" + Hex(random, 24) + "\"}";
  }
  out +=
      R"(],"resources":{"limits":{"cpu":"500m","memory":"512Mi"},"requests":{"cpu":"100m","memory":"128Mi"}},)"
      R"("volumeMounts":[{"name":"kube-api-access-)" +
      Hex(random, 5) +
      R"(","readOnly":true,"mountPath":"/var/run/secrets/kubernetes.io/serviceaccount"}],"livenessProbe":{"httpGet":{"path":"/healthz","port":8080,"scheme":"HTTP"},)"
      R"("initialDelaySeconds":10,"timeoutSeconds":1,"periodSeconds":10,"successThreshold":1,"failureThreshold":3},)"
      R"("readinessProbe":{"httpGet":{"path":"/ready","port":8080,"scheme":"HTTP"},"timeoutSeconds":1,"periodSeconds":5,"successThreshold":1,"failureThreshold":3},)"
      R"("terminationMessagePath":"/dev/termination-log","terminationMessagePolicy":"File","imagePullPolicy":"IfNotPresent"})";
  return out;
}

std::string ManagedFields(uint64_t* random, size_t bytes) {
  std::string out =
      R"([{"manager":"kube-controller-manager","operation":"Update","apiVersion":"v1","time":")" +
      Instant(random) + R"(","fieldsType":"FieldsV1","fieldsV1":{)";
  bool first = true;
  while (out.size() < bytes) {
    if (!first) out += ',';
    first = false;
    out += R"("k:{\"name\":\"SETTING_)" + Hex(random, 6) +
           R"(\"}":{".":{},"f:name":{},"f:value":{},"f:terminationMessagePath":{}})";
  }
  return out + "}}]";
}

}  // namespace

std::string Corpus::PodName(uint64_t index) {
  char text[32];
  std::snprintf(text, sizeof text, "shop-app-%010llu", static_cast<unsigned long long>(index));
  return text;
}

std::string Corpus::ChangeOf(uint64_t index, uint64_t version) {
  uint64_t random = index * 0xD1B54A32D192ED03ULL + version;
  return Hex(&random, 32);
}

std::string Corpus::PodUid(uint64_t index) {
  uint64_t random = index * 0x9E3779B97F4A7C15ULL + 1;
  return Uid(&random);
}

Corpus::Corpus(uint64_t seed, int shapes) {
  constexpr size_t kPodBytes = 8900;
  uint64_t random = seed;
  for (int i = 0; i < shapes; ++i) {
    Shape shape;
    std::string head = R"({"kind":"Pod","apiVersion":"v1","metadata":{"name":")";
    shape.name_at = head.size();
    head += PodName(0) + R"(","generateName":"shop-app-","namespace":"shop","uid":")";
    shape.uid_at = head.size();
    head += PodUid(0) + R"(","resourceVersion":")";
    shape.version_at = head.size();
    head +=
        R"(000000000000","creationTimestamp":")" + Instant(&random) +
        R"(","labels":{"app":"shop","app.kubernetes.io/managed-by":"spinnaker","app.kubernetes.io/name":"shop","pod-template-hash":")" +
        Hex(&random, 10) +
        R"("},"annotations":{"artifact.spinnaker.io/location":"shop","artifact.spinnaker.io/name":"shop-app",)"
        R"("artifact.spinnaker.io/type":"kubernetes/deployment","moniker.spinnaker.io/application":"shop","moniker.spinnaker.io/cluster":"deployment shop-app","bench/change":")";
    shape.change_at = head.size();
    head +=
        std::string(32, '0') +
        R"("},"ownerReferences":[{"apiVersion":"apps/v1","kind":"ReplicaSet","name":"shop-app-)" +
        Hex(&random, 10) + R"(","uid":")" + Uid(&random) +
        R"(","controller":true,"blockOwnerDeletion":true}],"managedFields":)";
    std::string tail =
        R"(},"spec":{"volumes":[{"name":"kube-api-access","projected":{"sources":[{"serviceAccountToken":{"expirationSeconds":3607,"path":"token"}}],"defaultMode":420}}],"containers":[)" +
        Container(&random, 0) + "," + Container(&random, 1) +
        R"(],"restartPolicy":"Always","terminationGracePeriodSeconds":30,"dnsPolicy":"ClusterFirst","serviceAccountName":"default","serviceAccount":"default","nodeName":"node-)" +
        Hex(&random, 8) +
        R"(","securityContext":{},"schedulerName":"default-scheduler","priority":0,"enableServiceLinks":true},"status":{"phase":"Running","conditions":[)";
    for (const char* type : {"Initialized", "Ready", "ContainersReady", "PodScheduled"}) {
      tail += std::string(R"({"type":")") + type +
              R"(","status":"True","lastProbeTime":null,"lastTransitionTime":")" +
              Instant(&random) + "\"}" + (type[0] == 'P' ? "" : ",");
    }
    tail +=
        R"(],"hostIP":")" + Address(&random) + R"(","podIP":")" + Address(&random) +
        R"(","startTime":")" + Instant(&random) +
        R"(","containerStatuses":[{"name":"app-0","ready":true,"restartCount":0,"started":true,"containerID":"containerd://)" +
        Hex(&random, 64) + R"("}],"qosClass":"Burstable"}})";
    const size_t used = head.size() + tail.size();
    shape.text = head + ManagedFields(&random, used < kPodBytes ? kPodBytes - used : 200) + tail;
    shapes_.push_back(std::move(shape));
  }
}

void Corpus::AppendPod(uint64_t index, uint64_t version, uint64_t resource_version,
                       std::string* out) const {
  const Shape& shape = shapes_[index % shapes_.size()];
  const size_t start = out->size();
  *out += shape.text;
  const auto put = [&](size_t at, const std::string& text) {
    std::copy(text.begin(), text.end(), out->begin() + static_cast<std::ptrdiff_t>(start + at));
  };
  put(shape.name_at, PodName(index));
  put(shape.uid_at, PodUid(index));
  char digits[16];
  std::snprintf(digits, sizeof digits, "%012llu",
                static_cast<unsigned long long>(resource_version));
  put(shape.version_at, digits);
  put(shape.change_at, ChangeOf(index, version));
}

}  // namespace fairlead::bench
