#include "tests/support/scan_bytes.hpp"

#include <gtest/gtest.h>

namespace hubgate {
namespace {

using namespace std::string_literals;
using test::find_rule;
using test::is_clean;
using test::scan_bytes;
using test::show;

std::string model(const std::string& tree, const std::string& attributes = "") {
  return "{\"learner\":{\"attributes\":{" + attributes +
         "},\"gradient_booster\":{\"model\":{\"trees\":[{" + tree +
         "}]},\"name\":\"gbtree\"}},\"version\":[2,1,0]}";
}
std::string tree(const std::string& left, const std::string& right, const std::string& split,
                 const std::string& nodes = "3") {
  return "\"left_children\":[" + left + "],\"right_children\":[" + right +
         "],\"parents\":[2147483647,0,0],\"split_indices\":[" + split +
         "],\"tree_param\":{\"num_feature\":\"5\",\"num_nodes\":\"" + nodes + "\"}";
}

TEST(Xgboost, trees_of_json) {
  const Report good = scan_bytes(model(tree("1,-1,-1", "2,-1,-1", "4,0,0")));
  EXPECT_EQ(good.format, "xgboost");
  EXPECT_TRUE(is_clean(good)) << show(good);
  for (const std::string& bad:
       {tree("99,-1,-1", "2,-1,-1", "4,0,0"), tree("1,-1,-1", "2,-1,-7", "4,0,0"),
        tree("1,-1,-1", "2,-1,-1", "5,0,0"), tree("1,-1", "2,-1,-1", "4,0,0"),
        tree("1,-1,-1", "2,-1,-1", "4,0,0", "1000000000")})
    EXPECT_NE(find_rule(scan_bytes(model(bad)), "xgboost-tree"), nullptr) << bad;
  // The second tree of the list, too.
  EXPECT_NE(find_rule(scan_bytes(model(tree("1,-1,-1", "2,-1,-1", "4,0,0") + "},{" +
                                       tree("9,-1,-1", "2,-1,-1", "4,0,0"))),
                      "xgboost-tree"),
            nullptr);
  EXPECT_NE(find_rule(scan_bytes(model("", "\"note\":\"os.system('echo x') is run\"")),
                      "embedded-script"),
            nullptr);
  EXPECT_NE(scan_bytes("{\"a\":{\"learner\":1}}").format, "xgboost");
}

std::string key(const std::string& name) {
  return "L"s + std::string(7, '\0') + static_cast<char>(name.size()) + name;
}
std::string text(const std::string& value) {
  return "S" + key(value);
}
std::string ints(const std::string& values) {
  std::string out = "[$l#L"s + std::string(7, '\0') + static_cast<char>(values.size());
  for (const char c: values)
    out += std::string(3, c < 0 ? '\xff' : '\0') + c;
  return out;
}
std::string ubj(const std::string& left) {
  return "{" + key("learner") + "{" + key("gradient_booster") + "{" + key("model") + "{" +
         key("trees") + "[{" + key("left_children") + ints(left) + key("tree_param") + "{" +
         key("num_nodes") + text("3") + "}}]}}}}";
}

TEST(Xgboost, trees_of_ubj) {
  const Report good = scan_bytes(ubj("\x01\xff\xff"));
  EXPECT_EQ(good.format, "xgboost_ubj");
  EXPECT_TRUE(is_clean(good)) << show(good);
  EXPECT_NE(find_rule(scan_bytes(ubj("\x09\xff\xff")), "xgboost-tree"), nullptr);
  const std::string whole = ubj("\x01\xff\xff");
  for (std::size_t n = 20; n < whole.size(); ++n)
    EXPECT_FALSE(is_clean(scan_bytes(whole.substr(0, n)))) << n;
}

TEST(Xgboost, lengths_and_depths_of_ubj) {
  const std::string begin = "{" + key("learner");
  for (const std::string& bad: {begin + "SL" + std::string(8, '\xff'),
                                begin + "[$l#L" + std::string(1, '\x7f') + std::string(7, '\0'),
                                begin + "[$S#U\x01", begin + std::string(600, '['), begin + "Q"})
    EXPECT_NE(find_rule(scan_bytes(bad), "xgboost-bounds"), nullptr) << show(scan_bytes(bad));
}

} // namespace
} // namespace hubgate
