#pragma once
// The walk over a file's objects and what it finds; see README.md for the laws it follows.
#include "scanner/formats/hdf5/dataset.hpp"
#include "scanner/formats/hdf5/rules.hpp"

#include <deque>
#include <map>
#include <set>

namespace hubgate::hdf5 {

class Walk {
public:
  Walk(Source& source, Session& session, const Superblock& superblock, std::uint64_t size)
      : session_(session), file_(source, superblock, size), storage_(file_) {}

  /// Visits every object, judges, scans what can carry code and what nothing refers to. Returns
  /// false when something could not be read; gaps were reported.
  bool run();

private:
  struct Task {
    std::uint64_t address;
    std::string path;
  };
  struct Object {
    Dataspace space;
    std::optional<Datatype> type;
    std::optional<Layout> layout;
    std::vector<Filter> filters;
    const Message* external = nullptr;
  };

  void user_block();
  void superblock();
  void visit(const Task& task);
  void message(const Message& message, const Task& task, Object& object);
  void unreadable(const Message& message, std::string_view what);
  void group(std::uint64_t tree, std::uint64_t heap, const std::string& path);
  void link(const Link& link, const std::string& path, std::uint64_t place);
  void attribute(Attribute attribute, const std::string& path, std::uint64_t place);
  void attribute_values(const Attribute& attribute, const std::string& path, std::uint64_t place);
  void matlab(const std::string& klass, std::uint64_t place);
  std::optional<std::string> first_text(const Attribute& attribute);
  /// `configured`: they are scanned as a configuration, and not once more as values.
  std::vector<std::string> texts(const Attribute& attribute, std::size_t most,
                                 bool configured = false);
  void configuration(const std::string& path);
  std::optional<Datatype> committed(std::uint64_t address);

  void dataset(const Object& object, const Task& task);
  void external(const Message& message, const std::string& path);
  void virtual_map(const Layout& layout, const std::string& path);
  void filters(const Object& object, const std::string& path);
  void numbers(std::uint64_t place, std::uint64_t size, const std::string& path);
  void bytes(const std::string& name, Bytes bytes);
  void bomb(const Object& object, std::uint64_t stored, const std::string& path);

  void heaps(std::uint64_t address, std::uint64_t size);
  void value(const HeapObject& object);
  void small_values();
  void leftovers();
  void overlaps();
  void trouble(const Trouble& trouble);

  Session& session_;
  File file_;
  Storage storage_;
  std::deque<Task> tasks_;
  std::set<std::uint64_t> objects_;
  std::map<std::uint64_t, std::optional<Datatype>> committed_;
  std::map<std::string, std::string> configuration_; ///< pieces of split attributes by name
  struct SoftLink {
    std::string text;
    std::uint64_t place;
  };
  std::vector<SoftLink> soft_;
  std::map<std::string_view, std::size_t> told_;
  std::set<std::uint64_t> read_; ///< values in heaps that were scanned already
  std::string small_;            ///< short values, to be scanned together
  bool keras_ = false;
  bool julia_ = false;
  bool broken_ = false;

  /// At most a few findings of one rule.
  bool tell(const Rule& rule);
};

} // namespace hubgate::hdf5
