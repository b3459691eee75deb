/* Checked sizes and memory from the context's callbacks. */

#include "cmocka_all.h"
#include "memory.h"
#include "status.h"
#include "threads.h"

#include <stdlib.h>
#include <string.h>

/* An allocator that counts, refuses the n-th request, and gives blocks at odd places that malloc
 * may give: 16-byte aligned, not 64. */
typedef struct counting_allocator {
    size_t requests, live;
    size_t refused; /* the request that is refused, from 1; 0: none */
} counting_allocator;

static void *count_allocate(void *user, size_t bytes) {
    counting_allocator *allocator = user;
    if (++allocator->requests == allocator->refused)
        return NULL;
    char *block = malloc(bytes + 16);
    if (!block)
        return NULL;
    allocator->live++;
    return block + 16;
}

static void count_release(void *user, void *memory) {
    counting_allocator *allocator = user;
    allocator->live--;
    free((char *)memory - 16);
}

static ramify_status create(counting_allocator *allocator, ramify_context **context) {
    ramify_context_options options;
    ramify_context_options_init(&options);
    options.user = allocator;
    options.allocate = count_allocate;
    options.release = count_release;
    options.threads = 3;
    return ramify_context_create(&options, context);
}

static void test_sizes(void **state) {
    (void)state;
    size_t result = 7;
    assert_true(ramify_size_multiply(3, 5, &result));
    assert_int_equal(result, 15);
    assert_true(ramify_size_multiply(0, SIZE_MAX, &result));
    assert_int_equal(result, 0);
    assert_true(ramify_size_multiply(SIZE_MAX, 0, &result));
    assert_int_equal(result, 0);
    assert_true(ramify_size_multiply(SIZE_MAX, 1, &result));
    assert_true(result == SIZE_MAX);
    assert_true(ramify_size_multiply(SIZE_MAX / 3, 3, &result));
    result = 7;
    assert_false(ramify_size_multiply(SIZE_MAX / 3 + 1, 3, &result));
    assert_false(ramify_size_multiply((size_t)1 << 32, (size_t)1 << 32, &result));
    assert_int_equal(result, 7);

    assert_true(ramify_size_add(SIZE_MAX - 1, 1, &result));
    assert_true(result == SIZE_MAX);
    result = 7;
    assert_false(ramify_size_add(SIZE_MAX, 1, &result));
    assert_false(ramify_size_add(SIZE_MAX / 2 + 1, SIZE_MAX / 2 + 1, &result));
    assert_int_equal(result, 7);

    assert_int_equal(ramify_pad(0), 0);
    assert_int_equal(ramify_pad(1), 16);
    assert_int_equal(ramify_pad(16), 16);
    assert_int_equal(ramify_pad(17), 32);
}

static void test_blocks_are_aligned_and_whole(void **state) {
    (void)state;
    counting_allocator allocator = {0};
    ramify_context *context = NULL;
    assert_int_equal(create(&allocator, &context), RAMIFY_OK);
    size_t before = allocator.live;
    static const size_t sizes[] = {0, 1, 63, 64, 65, 4097};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        unsigned char *block = ramify_allocate(context, sizes[i], 1);
        assert_non_null(block);
        assert_int_equal((uintptr_t)block % RAMIFY_ALIGNMENT, 0);
        memset(block, 0xab, sizes[i]); /* the sanitizers watch the end */
        ramify_release(context, block);
    }
    unsigned char *zeroed = ramify_allocate_zeroed(context, 100, 3);
    assert_non_null(zeroed);
    for (size_t i = 0; i < 300; i++)
        assert_int_equal(zeroed[i], 0);
    ramify_release(context, zeroed);
    ramify_release(context, NULL);
    assert_int_equal(allocator.live, before);
    ramify_context_destroy(&context);
    assert_int_equal(allocator.live, 0);
}

static void test_reallocate_keeps_contents(void **state) {
    (void)state;
    counting_allocator allocator = {0};
    ramify_context *context = NULL;
    assert_int_equal(create(&allocator, &context), RAMIFY_OK);
    uint32_t *numbers = ramify_reallocate(context, NULL, 10, sizeof *numbers);
    assert_non_null(numbers);
    for (uint32_t i = 0; i < 10; i++)
        numbers[i] = i * i;
    numbers = ramify_reallocate(context, numbers, 1000, sizeof *numbers);
    assert_non_null(numbers);
    for (uint32_t i = 0; i < 10; i++)
        assert_int_equal(numbers[i], i * i);
    numbers = ramify_reallocate(context, numbers, 4, sizeof *numbers);
    assert_non_null(numbers);
    for (uint32_t i = 0; i < 4; i++)
        assert_int_equal(numbers[i], i * i);

    /* A refusal leaves the old block. */
    allocator.refused = allocator.requests + 1;
    assert_null(ramify_reallocate(context, numbers, 8, sizeof *numbers));
    assert_int_equal(ramify_recorded_status(context), RAMIFY_ERROR_MEMORY);
    assert_int_equal(numbers[3], 9);
    ramify_release(context, numbers);
    ramify_context_destroy(&context);
    assert_int_equal(allocator.live, 0);
}

static void test_impossible_sizes_are_refused(void **state) {
    (void)state;
    counting_allocator allocator = {0};
    ramify_context *context = NULL;
    assert_int_equal(create(&allocator, &context), RAMIFY_OK);
    size_t before = allocator.requests;
    assert_null(ramify_allocate(context, SIZE_MAX / 8 + 1, 8));
    assert_int_equal(ramify_recorded_status(context), RAMIFY_ERROR_MEMORY);
    assert_string_equal(ramify_message(context),
                        "2305843009213693952 times 8 bytes are more than this machine can address");
    ramify_clear(context);
    assert_null(ramify_allocate(context, SIZE_MAX - 64, 1));
    assert_null(ramify_allocate_zeroed(context, SIZE_MAX, 2));
    assert_null(ramify_reallocate(context, NULL, SIZE_MAX, SIZE_MAX));
    assert_int_equal(allocator.requests, before);
    ramify_context_destroy(&context);
}

static void test_copied_text(void **state) {
    (void)state;
    counting_allocator allocator = {0};
    ramify_context *context = NULL;
    assert_int_equal(create(&allocator, &context), RAMIFY_OK);
    char text[] = "abc";
    char *copy = ramify_copy_text(context, text);
    assert_non_null(copy);
    text[0] = 'x';
    assert_string_equal(copy, "abc");
    char *empty = ramify_copy_text(context, "");
    assert_string_equal(empty, "");
    ramify_release(context, copy);
    ramify_release(context, empty);
    ramify_context_destroy(&context);
}

static ramify_status fill(void *argument, size_t task, uint32_t worker) {
    (void)worker;
    ((size_t *)argument)[task] = task;
    return RAMIFY_OK;
}

/* What the base layer allocates: a context, a block, a copy, and a pool. */
static ramify_status use_everything(counting_allocator *allocator) {
    ramify_context *context = NULL;
    RAMIFY_TRY(create(allocator, &context));
    ramify_status status = RAMIFY_OK;
    size_t *numbers = ramify_allocate_zeroed(context, 50, sizeof *numbers);
    char *copy = numbers ? ramify_copy_text(context, "text") : NULL;
    if (!copy)
        status = ramify_recorded_status(context);
    else
        status = ramify_parallel(context, 50, fill, numbers);
    if (status != RAMIFY_OK)
        assert_string_not_equal(ramify_message(context), "");
    ramify_release(context, copy);
    ramify_release(context, numbers);
    ramify_context_destroy(&context);
    return status;
}

static void test_nth_allocation_fails(void **state) {
    (void)state;
    counting_allocator allocator = {0};
    assert_int_equal(use_everything(&allocator), RAMIFY_OK);
    size_t requests = allocator.requests;
    assert_true(requests >= 4);
    for (size_t n = 1; n <= requests; n++) {
        allocator = (counting_allocator){.refused = n};
        assert_int_equal(use_everything(&allocator), RAMIFY_ERROR_MEMORY);
        assert_int_equal(allocator.live, 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_blocks_are_aligned_and_whole),
        cmocka_unit_test(test_reallocate_keeps_contents),
        cmocka_unit_test(test_impossible_sizes_are_refused),
        cmocka_unit_test(test_copied_text),
        cmocka_unit_test(test_nth_allocation_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
