// Locks: which requests there are, and that nothing passes but what is understood.
#include "proxy/lfs/locks.hpp"

#include <gtest/gtest.h>

namespace hubgate::proxy {
namespace {

std::optional<LockCall> call(std::string_view method, std::vector<std::string> rest) {
  return lock_call(method, rest);
}

TEST(Locks, KnowTheirRequests) {
  EXPECT_EQ(call("GET", {}), LockCall::list);
  EXPECT_EQ(call("POST", {}), LockCall::create);
  EXPECT_EQ(call("POST", {"verify"}), LockCall::verify);
  EXPECT_EQ(call("POST", {"some id", "unlock"}), LockCall::unlock);
  for (const auto& [method, rest]: std::vector<std::pair<std::string, std::vector<std::string>>>{
           {"DELETE", {}}, {"GET", {"verify"}}, {"POST", {"a"}}, {"POST", {"a", "unlock", "b"}}})
    EXPECT_FALSE(call(method, rest)) << method;
}

TEST(Locks, KeepWhatIsKnownOfAQuery) {
  EXPECT_EQ(lock_query("path=a%2Fb%20c&limit=10&callback=x"), "?path=a%2Fb%20c&limit=10");
  EXPECT_EQ(lock_query("x=1"), "");
}

TEST(Locks, WriteRequestsAnew) {
  EXPECT_EQ(
      *lock_request(LockCall::create, R"({"path":"a.bin","ref":{"name":"refs/heads/m"},"x":1})"),
      R"({"path":"a.bin","ref":{"name":"refs/heads/m"}})");
  EXPECT_EQ(*lock_request(LockCall::unlock, R"({"force":"yes"})"), R"({"force":false})");
  EXPECT_EQ(*lock_request(LockCall::verify, R"({"limit":5,"cursor":"c"})"),
            R"({"cursor":"c","limit":5})");
  for (const char* bad: {"", "[]", "{", R"({"path":1})", "{\"path\":\"a\\u001b\"}"})
    EXPECT_FALSE(lock_request(LockCall::create, bad)) << bad;
}

TEST(Locks, WriteAnswersAnew) {
  constexpr std::string_view k_lock =
      R"({"id":"1","path":"a","locked_at":"2026","owner":{"name":"A"},"href":"http://x/"})";
  constexpr std::string_view k_clean =
      R"({"id":"1","path":"a","locked_at":"2026","owner":{"name":"A"}})";
  const std::string lock(k_lock);
  const std::string clean(k_clean);
  EXPECT_EQ(*lock_answer(LockCall::create, 201, R"({"lock":)" + lock + "}"),
            R"({"lock":)" + clean + "}");
  EXPECT_EQ(*lock_answer(LockCall::create, 409, R"({"message":"taken","lock":)" + lock + "}"),
            R"({"lock":)" + clean + R"(,"message":"taken"})");
  EXPECT_EQ(*lock_answer(LockCall::list, 200, R"({"locks":[)" + lock + R"(],"next_cursor":"n"})"),
            R"({"locks":[)" + clean + R"(],"next_cursor":"n"})");
  EXPECT_EQ(*lock_answer(LockCall::verify, 200, R"({"ours":null})"), R"({"ours":[],"theirs":[]})");
  for (const char* bad: {"", "[]", R"({"locks":{}})", R"({"locks":[{"id":"1"}]})",
                         "{\"locks\":[{\"id\":\"1\",\"path\":\"a\\u001b[2J\"}]}"})
    EXPECT_FALSE(lock_answer(LockCall::list, 200, bad)) << bad;
  EXPECT_FALSE(lock_answer(LockCall::unlock, 200, "{}"));
}

} // namespace
} // namespace hubgate::proxy
