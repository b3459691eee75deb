/* A library without the plug-in's symbol. */
extern const int no_engine;
__attribute__((visibility("default"))) const int no_engine = 1;
