#pragma once
// Reports, policies and folders for the tests of policy/.
#include "policy/policy.hpp"

#include <gtest/gtest.h>

#include <stdlib.h>

#include <filesystem>
#include <string>

namespace hubgate::testing_support {

inline Finding finding(Severity severity, std::string rule, std::string klass,
                       Reach reach = Reach::load) {
  Finding out;
  out.rule = std::move(rule);
  out.klass = std::move(klass);
  out.severity = severity;
  out.reach = reach;
  out.where = "archive/data.pkl";
  out.offset = 12;
  out.length = 3;
  out.evidence = "os.system('echo hubgate')";
  return out;
}
inline Finding malicious() {
  return finding(Severity::malicious, "pickle-dangerous-call", "dangerous-call");
}
inline Finding unknown_call() {
  return finding(Severity::suspicious, "pickle-unknown-call", "unknown-call");
}
inline Finding unknown_class() {
  return finding(Severity::suspicious, "pickle-unknown-class", "unknown-class");
}
inline Finding note() {
  return finding(Severity::informational, "pickle-old-protocol", "oddity", Reach::data);
}

inline Gap gap(Reason reason, Reach reach) {
  Gap out;
  out.reason = reason;
  out.reach = reach;
  out.detail = "what could not be read";
  return out;
}

inline Report report(std::vector<Finding> findings, std::vector<Gap> gaps = {}) {
  Report out;
  out.format = "pickle";
  out.size = 100;
  out.findings = std::move(findings);
  out.gaps = std::move(gaps);
  return out;
}

inline Policy policy(const std::string& rules, const std::string& head = "") {
  auto made =
      Policy::from_yaml("version: 1\nname: test\n" + head + "rules:\n" + rules, "test.yaml");
  EXPECT_TRUE(made) << (made ? "" : made.error().message);
  return made ? *made : *Policy::preset("strict");
}

inline Context context(std::string path = "model.pkl", std::string repo = "acme/model") {
  Context out;
  out.road = Road::hub;
  out.hub = "hub.example";
  out.repo = std::move(repo);
  out.revision = "main";
  out.path = std::move(path);
  out.size = 100;
  out.user = "alice";
  out.from = "127.0.0.1";
  out.client = "test/1";
  return out;
}

/// A folder that goes away with its owner.
class Folder {
public:
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "hubgate-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary folder");
    path_ = name;
  }
  ~Folder() {
    std::error_code error;
    std::filesystem::remove_all(path_, error);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  const std::filesystem::path& path() const { return path_; }

private:
  std::filesystem::path path_;
};

} // namespace hubgate::testing_support
