#include "scanner/formats/sqlite/sql.hpp"
#include "tests/support/corpus.hpp"
#include "tests/support/scan_bytes.hpp"

#include <gtest/gtest.h>

namespace hubgate {
namespace {

using test::find_rule;
using test::has_gap;
using test::is_clean;
using test::scan_bytes;
using test::show;

constexpr const char* k_corpus = "scanner/formats/sqlite/corpus";

TEST(Sqlite, databases_are_clean) {
  const auto files = test::corpus(k_corpus, "good_");
  ASSERT_GE(files.size(), 3U);
  for (const auto& [name, bytes]: files) {
    const Report report = scan_bytes(bytes);
    EXPECT_TRUE(is_clean(report)) << name << " " << show(report);
    EXPECT_EQ(report.format, "sqlite") << name;
  }
}

TEST(Sqlite, is_never_clean_when_cut) {
  for (const auto& [name, bytes]: test::corpus(k_corpus, "good_"))
    for (std::size_t n = 16; n < bytes.size(); n += 37)
      EXPECT_FALSE(is_clean(scan_bytes(std::string_view(bytes).substr(0, n)))) << name << " " << n;
}

TEST(Sqlite, a_trigger_that_loads_code_is_told) {
  const Report report = scan_bytes(test::corpus(k_corpus, "bad_trigger").begin()->second);
  EXPECT_NE(find_rule(report, "sqlite-dangerous-sql"), nullptr) << show(report);
}

TEST(Sqlite, pages_that_lead_astray_are_told) {
  std::string bytes = test::corpus(k_corpus, "good_small").begin()->second;
  bytes[512 + 3] = '\x7f'; // cells of the second page
  const Report report = scan_bytes(bytes);
  EXPECT_NE(find_rule(report, "sqlite-structure"), nullptr) << show(report);
  EXPECT_TRUE(has_gap(report, Reason::malformed)) << show(report);
}

TEST(Sql, only_what_reaches_out_is_told) {
  using sqlite::reaches_out;
  for (const char* sql: {
           "CREATE TABLE t(a, b)",
           "create table load_extension (a)",
           "create index i on edit(a)",
           "create view v as select 'load_extension(1)' from t -- load_extension(2)",
           "create view v as select a /* attach */ from t",
           "create virtual table f using fts5(body, content='t')",
           R"(create trigger g after delete on t begin
              insert into f(f, a) values('delete', old.a); end)",
           "create table t(attach text, pragma int, system int, eval real)",
       })
    EXPECT_FALSE(reaches_out(sql)) << sql << " " << reaches_out(sql).value_or("");
  for (const char* sql: {
           "create view v as select load_extension('x')",
           "create view v as select LOAD_EXTENSION  ('x')",
           "create view v as select [load_extension]/**/('x')",
           "create table t(a check (writefile('x', a)))",
           "create virtual table f using csv(filename='/etc/passwd')",
           "create trigger g after insert on t begin update x_segdir set root = 1; end",
           "create trigger g after insert on t begin insert into sqlite_master values(1); end",
           "attach 'x' as y",
       })
    EXPECT_TRUE(reaches_out(sql)) << sql;
}

} // namespace
} // namespace hubgate
