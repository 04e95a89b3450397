#include "proxy/hub/tree.hpp"

#include <gtest/gtest.h>

namespace hubgate::proxy {
namespace {

TEST(TreePage, ReadsFilesAndTheirLfsObjects) {
  const auto files = parse_tree_page(
      R"([{"type":"directory","oid":"x","size":0,"path":"sub"},
          {"type":"file","oid":"0123","size":7,"path":"config.json"},
          {"type":"file","oid":"45","size":130,"path":"sub/m.bin",
           "lfs":{"oid":")" +
      std::string(64, 'a') + R"(","size":5000000000}}])");
  ASSERT_TRUE(files);
  ASSERT_EQ(files->size(), 2U);
  EXPECT_EQ((*files)[0].path, "config.json");
  EXPECT_EQ((*files)[0].oid, "0123");
  EXPECT_FALSE((*files)[0].lfs);
  EXPECT_EQ((*files)[1].size, 5'000'000'000U);
  ASSERT_TRUE((*files)[1].lfs);
}

TEST(TreePage, WhatIsNoListingIsAnError) {
  for (const char* bad: {"", "{}", "[1]", "[{}]", R"([{"path":7}])", "[{\"path\":\"a\"}",
                         "[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]"})
    EXPECT_FALSE(parse_tree_page(bad)) << bad;
}

TEST(TreePage, NumbersThatAreNoneAreZero) {
  const auto files = parse_tree_page(R"([{"type":"file","path":"a","size":-5},
                                         {"type":"file","path":"b","size":"7"}])");
  ASSERT_TRUE(files);
  EXPECT_EQ((*files)[0].size, 0U);
  EXPECT_EQ((*files)[1].size, 0U);
}

TEST(NextPage, IsTheUpstreamsOwn) {
  const Origin upstream{true, "hub.example", 443};
  EXPECT_EQ(next_page("<https://hub.example/api/x?cursor=1>; rel=\"next\"", upstream),
            "/api/x?cursor=1");
  EXPECT_EQ(next_page("<https://a.example/>; rel=\"prev\", <https://hub.example/b>; rel=\"next\"",
                      upstream),
            "/b");
  for (const char* bad:
       {"", "<", "<https://evil.example/>; rel=\"next\"", "<x>; rel=\"next\"",
        "<https://hub.example/a>; rel=\"prev\"", "<http://hub.example/a>; rel=\"next\""})
    EXPECT_FALSE(next_page(bad, upstream)) << bad;
}

TEST(FetchedForTree, CodeAndConfigurationsDecide) {
  for (const char* path:
       {"modeling_x.py", "sub/config.json", "tokenizer_config.json", "model.safetensors.index.json",
        "modules.json", "hyperparams.yaml", "MLmodel", "model_index.json"}) {
    EXPECT_TRUE(fetched_for_tree(path)) << path;
    EXPECT_TRUE(tree_decides(path)) << path << " would wait for itself";
  }
  for (const char* path: {"model.safetensors", "tokenizer.json", "README.md", "data/0001.json"})
    EXPECT_FALSE(fetched_for_tree(path)) << path;
}

} // namespace
} // namespace hubgate::proxy
