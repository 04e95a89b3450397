#include "tests/support/scan_bytes.hpp"

#include <gtest/gtest.h>

namespace hubgate {
namespace {

using test::find_rule;
using test::scan_bytes;
using test::show;

std::string manifest(const std::string& digest, const std::string& more = "") {
  return R"({"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v2+json","layers":[{"mediaType":)"
         R"("application/vnd.ollama.image.model","digest":")" +
         digest + "\",\"size\":1" + more + "}]}";
}

TEST(Ollama, digests_are_digests) {
  const std::string good = "sha256:" + std::string(64, 'a');
  EXPECT_TRUE(test::is_clean(scan_bytes(manifest(good)))) << show(scan_bytes(manifest(good)));
  EXPECT_EQ(scan_bytes(manifest(good)).format, "ollama");
  for (const char* bad: {"sha256:../../../../x", "sha256:\\\\x", "sha256:a/b"})
    EXPECT_NE(find_rule(scan_bytes(manifest(bad)), "ollama-digest-path"), nullptr) << bad;
  for (const char* bad: {"sha256:abc", "md5:aa", ""})
    EXPECT_NE(find_rule(scan_bytes(manifest(bad)), "ollama-digest"), nullptr) << bad;
  EXPECT_NE(find_rule(scan_bytes(manifest(good, R"(,"urls":["http://127.0.0.1/x"])")),
                      "ollama-layer-address"),
            nullptr);
}

} // namespace
} // namespace hubgate
