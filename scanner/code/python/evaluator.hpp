#pragma once
// Evaluator: walks the tree of one unit in the order of execution with abstract values. Functions
// are evaluated where they are called, once for each kind of arguments and a few times at most;
// those that nobody calls are evaluated at the end. Internal to scanner/code/python.
#include "scanner/code/behaviour/behaviour.hpp"
#include "scanner/code/python/analyse.hpp"
#include "scanner/code/python/modules.hpp"
#include "scanner/code/python/rules.hpp"
#include "scanner/code/python/tables.hpp"

#include <array>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace hubgate::python {

/// Text as the bytes of its Latin-1 encoding; what has none stays.
std::string narrowed(std::string_view text);

/// Backslash escapes of a literal undone: the language reference, 2.4.1.
std::string unescaped(std::string_view in, bool bytes);

struct Arguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string_view, Value>> named;
  bool open = false; ///< there are more, unknown ones (*args)

  const Value* find(std::string_view name) const {
    for (const auto& [key, value]: named)
      if (key == name) return &value;
    return nullptr;
  }
  /// The argument at a position or under a name; unknown if it is not there.
  Value get(std::size_t position, std::string_view name = {}) const {
    if (position < positional.size()) return positional[position];
    const Value* value = name.empty() ? nullptr : find(name);
    return value == nullptr ? Value{} : *value;
  }
};

/// Whether datasets or tfds instantiate classes with that base when they load a script.
bool is_builder(std::string_view base);
behaviour::UnitKind behaviour_kind(UnitKind kind);

class Evaluator {
public:
  Evaluator(Tree tree, const Unit& unit, Session& session, std::uint64_t& fold_budget);

  /// Of all files of a repository: `tree` holds theirs, one behind the other.
  Evaluator(Tree tree, const Unit& unit, Session& session, std::uint64_t& fold_budget,
            Modules& modules);

  /// Evaluates everything. False: a limit was hit.
  bool run();
  /// The same for a repository: what runs at load first. False: a limit was hit.
  bool run_repository();

private:
  using Map = std::unordered_map<std::string_view, Value>;
  struct Scope {
    Map names;
    std::uint32_t parent = 0; ///< index into scopes_; the module's own is 0
    std::uint32_t klass = k_nowhere;
    std::vector<std::string_view> outer; ///< names that "global" and "nonlocal" give
  };
  struct Function {
    NodeId node = k_no_node; ///< function_def or lambda
    std::uint32_t scope = 0;
    std::uint32_t klass = k_nowhere;
    std::unordered_map<std::uint64_t, Value> results; ///< by what it was given
    Value last;                                       ///< of them
    std::uint32_t runs = 0;
    bool running = false;
    bool called = false;
    bool property = false; ///< an attribute that is evaluated when it is read
    bool asked = false;    ///< called by others with what somebody sends: a bot's commands
    std::vector<std::uint32_t> also; ///< singledispatch: functions that may run instead
  };
  struct Class {
    NodeId node = k_no_node;
    Map attributes;
    std::vector<Value> bases;
    std::uint32_t metaclass = k_nowhere;
    std::optional<bool> builder;          ///< is_builder_class(), once it was asked
    std::vector<std::string_view> fields; ///< annotated names, in order: of a dataclass
  };
  struct KeptCommand {
    std::size_t begin; ///< in commands_
    NodeId at;
    bool uncalled;
  };
  struct Step {
    std::uint32_t offset;
    std::uint32_t parent;
  };
  static constexpr std::uint32_t k_nowhere = ~0U;
  static constexpr std::uint32_t k_max_runs = 5; ///< of one function, when the budget is half spent
  static constexpr unsigned k_max_calls = 24;    ///< functions inside functions
  static constexpr std::size_t k_max_items = 8192; ///< of a list that is followed item by item

  // evaluate_statements.cpp
  void block(NodeId id);
  void statement(NodeId id);
  void assign(NodeId target, const Value& value);
  void assign_name(std::string_view name, const Value& value);
  void define_function(NodeId id);
  void define_class(NodeId id);
  void import(NodeId id);
  void import_from(NodeId id);
  void loop(NodeId id);
  bool concrete_loop(NodeId target, const Value& iterable, NodeId body);
  void uncalled_functions();
  void register_function(const Value& value, NodeId callee);
  void hand_to_bot(const Value& value, std::string_view path);
  void decorate(Value& value, const Value& decorator, NodeId at);
  Value enter(const Value& manager, NodeId at);
  Value invoke(std::uint32_t function, const Value* self, const Arguments& arguments);
  void bind(const Function& function, const Value* self, const Arguments& arguments);
  std::uint64_t fingerprint(const Value* self, const Arguments& arguments) const;

  // evaluate_expressions.cpp
  Value evaluate(NodeId id);
  Value evaluate_kind(NodeId id);
  Value name(NodeId id);
  Value lookup(std::string_view name);
  Value binary(NodeId id);
  Value arithmetic(char op, const Value& left, const Value& right, NodeId at);
  Value joined_string(NodeId id);
  Value comprehension(NodeId id);
  void clauses(NodeId id, std::size_t clause, std::vector<Value>& out, Labels& labels);
  Value items(NodeId id, Kind kind);
  Arguments arguments(std::span<const NodeId> nodes);

  // repository.cpp; without modules_ they do nothing and have nothing to say
  bool import_module(std::string_view name, std::string_view bound, bool whole);
  bool import_module_from(NodeId id);
  Value module_called(const std::string& name, bool whole);
  Value module_attribute(const Value& module, std::string_view name);
  void run_module(std::uint32_t module);
  void enter_module(std::uint32_t module);
  std::uint32_t module_of(NodeId id) const;
  bool call_about_modules(const std::string& path, const Arguments& arguments, Value& result);
  std::uint32_t own_module_scope() const;
  bool noted_by_callers(Feature feature) const;
  bool is_that_file(std::size_t drop, const std::string& command) const;
  bool in_a_program(std::uint32_t offset) const;
  std::string callers(std::uint32_t step, std::uint32_t sink) const;
  std::string place(std::uint32_t offset) const;

  // builders.cpp
  bool is_builder_class(std::uint32_t klass, unsigned depth = 0);
  void note_split(std::string_view path, const Arguments& arguments);
  Arguments split_arguments(std::uint32_t klass) const;
  bool is_generator_method(const Function& function) const;
  Arguments given_to_method(const Function& function, std::uint32_t klass) const;
  void give_configuration(std::uint32_t klass);
  void configure_builders();
  void load_builders();

  // objects.cpp
  Value attribute(const Value& object, std::string_view name, NodeId at);
  Value own_attribute(const Value& object, std::string_view name, NodeId at);
  Value class_attribute(std::uint32_t klass, std::string_view name);
  Value documentation(NodeId node, std::size_t block);
  Value base_attribute(std::uint32_t klass, std::string_view name);
  void set_attribute(const Value& object, std::string_view name, const Value& value,
                     std::string_view spelled, NodeId at);
  Value choice(std::span<const Value> values, std::size_t stride, NodeId at);
  Value subscript(NodeId id);
  Value slice(const Value& object, NodeId index_node, NodeId at);
  Value item(const Value& object, const Value& key, NodeId at);
  bool named_item(const Value& object, const Value& key, NodeId at, Value& out);
  void mark(NodeId node, const Value& object, Labels labels, std::uint32_t from);
  Value element_of(const Value& iterable, NodeId at);
  bool overloaded(std::string_view name, const Value& left, const Value& right, NodeId at,
                  Value& out);
  void bind_pattern(NodeId pattern, const Value& subject);

  // calls.cpp
  Value call(NodeId id);
  Value apply(const Value& callee, const Arguments& arguments, NodeId at);
  Value call_name(const Value& callee, const Arguments& arguments, NodeId at);
  bool call_builtin(const std::string& path, const Value& callee, const Arguments& arguments,
                    NodeId at, Value& out);
  // calls_known.cpp
  Value call_known(const Callable& known, const std::string& path, const Value& callee,
                   const Arguments& arguments, NodeId at);
  Value construct(std::uint32_t klass, const Arguments& arguments);
  void judge_any_class(const Value& callee, const Arguments& arguments, NodeId at);
  Value call_other(const Callable& known, const std::string& path, const Arguments& arguments,
                   NodeId at);
  Labels walked(const Value& root);
  Value call_deferred(const Arguments& arguments, std::size_t position, NodeId at);
  Labels call_callbacks(const Arguments& arguments, NodeId at);
  Value open_file(const Arguments& arguments, NodeId at);
  Value import_call(const Arguments& arguments, NodeId at, std::string_view callee);
  bool call_unbound(const std::string& path, const Arguments& arguments, NodeId at, Value& result);
  Value environment(const Arguments& arguments, NodeId at);

  // methods.cpp
  bool method(const Value& object, std::string_view name, NodeId object_node,
              const Arguments& arguments, NodeId at, Value& result);
  bool text_method(const Value& object, std::string_view name, const Arguments& arguments,
                   NodeId at, Value& result);
  bool container_method(const Value& object, std::string_view name, NodeId object_node,
                        const Arguments& arguments, NodeId at, Value& result);
  bool handle_method(const Value& object, std::string_view name, const Arguments& arguments,
                     NodeId at, Value& result);
  bool path_method(const Value& object, std::string_view name, const Arguments& arguments,
                   NodeId at, Value& result);
  bool labelled_method(const Value& object, std::string_view name, const Arguments& arguments,
                       NodeId at, Value& result);

  // fold.cpp
  Value literal(NodeId id);
  Value number(NodeId id);
  Value long_number(const std::string& text, NodeId at);
  Value decode(const Callable& known, const Arguments& arguments, NodeId at);
  Value format_text(const std::string& pattern, const Arguments& arguments, Labels labels);
  Value percent(const std::string& pattern, const Value& right, Labels labels);
  Value make_text(std::string text, Labels labels, bool partial, Kind kind = Kind::text);
  Value make_integer(std::int64_t number) const;
  Value make_list(std::vector<Value> items, Labels labels);
  Value make_name(std::string path, Labels labels = 0, std::uint32_t step = 0);
  Value unknown(Labels labels, NodeId at, std::uint32_t step = 0) const;
  std::string text_of(const Value& value) const;
  const std::string& raw(const Value& value) const { return pool_[value.ref]; }
  bool charge(std::uint64_t bytes);
  bool list_bytes(const Value& list, std::string& out) const;
  bool is_plain(const Value& value) const;
  bool reads_as_list(const Value& value, std::vector<Value>& out);

  // folded.cpp
  struct JsonText;
  Value json_value(JsonText& json, const Value& from, const Value& hook, NodeId node,
                   unsigned depth);
  bool fold_call(const std::string& path, const Arguments& arguments, NodeId at, Value& out);
  bool sorted_constants(const Arguments& arguments, Value& out);
  bool substituted(const Arguments& arguments, NodeId at, Value& out);
  bool packed(const Arguments& arguments, Value& out);
  Value made_class(const Arguments& arguments);
  void judge_yaml(const Value& text, NodeId at);

  // sinks.cpp
  void judge_code(const Value& code, NodeId at, std::string_view callee);
  void judge_command(const Value& command, const Arguments& arguments, NodeId at,
                     std::string_view callee);
  void judge_shell_text(const std::string& text, Labels labels, NodeId at);
  void judge_program(const Value& path, NodeId at, std::string_view callee);
  void judge_send(const Arguments& arguments, NodeId at, std::string_view callee);
  void judge_sent(const Value& value, NodeId at, bool body);
  void judge_write(const Value& path, const Value& data, NodeId at);
  void judge_hub_write(const Arguments& arguments, NodeId at);
  void judge_duplicate(const Arguments& arguments, NodeId at);
  void judge_remove(const Value& path, NodeId at);
  void judge_hidden_name(const Value& callee, const std::string& path, Op op, NodeId at);
  void judge_load(const Value& bytes, NodeId at, std::string_view callee);
  void judge_note(const std::string& file, const Value& data, NodeId at);
  void judge_beacon(const Value& value, NodeId at);
  void judge_show(const Value& value, NodeId at, bool address);
  void judge_upload(const Arguments& arguments, NodeId at);
  void keep_command(NodeId at, const std::string& command);
  void judge_commands();
  Labels told(const std::string& command, NodeId at);
  void judge_import(std::string_view module, NodeId at);
  void judge_install(NodeId at, std::string_view what);
  void nested_unit(const Value& code, NodeId at);
  void nested_bytecode(const std::string& marshalled, NodeId at);
  Value code_object(const Arguments& arguments, NodeId at);
  Labels dropped_in(const std::string& command) const;
  void report(R rule, NodeId at, const Value* value, std::string_view what,
              std::optional<Severity> severity = {}, std::string_view techniques = {});

  // behaviour.cpp
  void note_text(std::string_view text, std::uint32_t offset);
  void note_call(std::string_view name, const Arguments& arguments, std::uint32_t offset);
  void note(Feature feature, std::uint32_t offset);
  bool has(Feature feature) const {
    return seen_[feature] != k_nowhere || (modules_ != nullptr && noted_by_callers(feature));
  }
  void behaviours();
  void shell_behaviours(std::string_view text, NodeId at);
  void report_behaviour(const behaviour::Hit& hit, std::uint32_t offset, std::string_view lines);
  void source_tricks();
  std::string line_at(std::uint32_t offset) const;
  std::string trace(std::uint32_t step, std::uint32_t sink) const;
  std::uint32_t line_number(std::uint32_t offset) const;

  // listing.cpp
  std::string shown(const Value& value, unsigned depth) const;
  void show_call(const std::string& path, const Arguments& arguments, NodeId at);

  Value merge(const Value& old, const Value& value) const;
  std::uint32_t step(NodeId at, std::uint32_t parent);
  std::uint64_t offset_of(NodeId at) const {
    if (modules_ != nullptr) {
      const Module& module = modules_->all()[modules_->at(tree_[at].begin)];
      return module.shown + (module.recovered ? 0 : tree_[at].begin - module.begin);
    }
    return unit_.verbatim ? unit_.offset + tree_[at].begin : unit_.offset;
  }
  bool tick();
  Scope& scope() { return scopes_[current_]; }

  Tree tree_;
  Unit unit_;
  Session& session_;
  std::uint64_t& fold_budget_;

  std::deque<std::string> pool_;
  std::deque<std::vector<Value>> lists_;
  std::deque<Scope> scopes_{1};
  std::deque<Function> functions_;
  std::deque<Class> classes_;
  std::vector<Step> steps_{Step{}};
  std::vector<std::pair<std::uint32_t, std::string>> star_modules_; ///< with the scope
  std::vector<std::pair<std::string, Labels>> dropped_; ///< files that were written, by path
  std::vector<Value> returns_;                          ///< of the functions that run
  std::vector<std::vector<Value>> yields_;              ///< of the functions that run
  Value sent_;                                          ///< generator.send(…)
  std::vector<Value> raised_;                           ///< exceptions that carry something
  std::uint32_t packed_ = 0;          ///< credentials went into an archive: the step
  std::uint32_t stdin_of_socket_ = 0; ///< sys.stdin was made a socket: the step
  std::string commands_;              ///< constant commands, in order
  std::vector<KeptCommand> kept_;
  std::map<std::pair<std::string_view, std::uint64_t>, bool> reported_;
  std::vector<std::uint32_t> lines_; ///< offsets of line starts
  std::set<std::pair<std::uint32_t, std::string>> shown_calls_;
  std::array<std::uint32_t, f_count> seen_{};
  behaviour::Unit behaviour_;

  // Of a repository; a single file has none of it. The scope of module n is n + 1, and scope 0,
  // which is around them all, stays empty.
  Modules* modules_ = nullptr;
  std::uint32_t module_ = 0;                                 ///< whose code runs
  std::vector<std::array<std::uint32_t, f_count>> features_; ///< seen_ of the others
  std::vector<std::uint32_t> drop_modules_;                  ///< who wrote each of dropped_
  std::vector<std::uint32_t> call_sites_;                    ///< offsets, of the functions that run
  unsigned imports_ = 0;                                     ///< inside of each other
  unsigned blocks_ = 0;                                      ///< inside of each other

  std::uint32_t current_ = 0;       ///< scope
  std::uint32_t klass_ = k_nowhere; ///< whose method runs
  unsigned calls_ = 0;              ///< functions that run
  unsigned branches_ = 0;           ///< conditions around the statement
  unsigned loops_ = 0;
  unsigned depth_ = 0; ///< of the expression
  bool main_guard_ = false;
  bool loading_ = false; ///< several files: what loading the repository runs
  std::unordered_map<std::uint32_t, Arguments> splits_; ///< gen_kwargs, by builder
  bool uncalled_ = false;       ///< the function that runs was called by nobody here
  bool environ_picked_ = false; ///< names of variables are compared with a long prefix
  std::uint32_t here_ = 0;      ///< offset of the statement that runs
  std::uint64_t ticks_ = 0;
  std::uint64_t max_ticks_ = 0;
  std::uint32_t concrete_ = 0; ///< iterations of loops that were run item by item
  bool over_budget_ = false;
  bool skipped_ = false; ///< a call that may have mattered was not followed
};

} // namespace hubgate::python
