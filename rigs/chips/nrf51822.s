@ How the nRF51822's flash is erased and written, after section 6 (NVMC) of Nordic's reference manual. The
@ routines are those of a CMSIS-Pack flash algorithm: arguments in r0-r2, the result in r0, zero for done.
@ The controller's CONFIG (1 allows writing, 2 erasing) is at 0x504, ERASEPAGE at 0x508, READY at 0x400.
@ A controller that never gets ready is waited for by the debugger, which has a deadline.
@
@ rigs/chips/assemble makes the `instructions` of nrf51822.yaml of it, and prints the offsets.
    .syntax unified
    .thumb

    .globl nothing, erase_page, write_page
nothing:
    movs r0, #0
    bx lr

erase_page:                 @ r0: an address in the page
    ldr r1, =0x4001e500
    ldr r3, =0x4001e400
    movs r2, #2
    str r2, [r1, #4]
    str r0, [r1, #8]
1:  ldr r2, [r3]
    cmp r2, #0
    beq 1b
    b done

write_page:                 @ r0: address, r1: bytes, whole words, r2: data
    push {r4, r5, lr}
    ldr r5, =0x4001e500
    ldr r3, =0x4001e400
    movs r4, #1
    str r4, [r5, #4]
2:  cmp r1, #0
    beq 4f
    ldr r4, [r2]
    str r4, [r0]
3:  ldr r4, [r3]
    cmp r4, #0
    beq 3b
    adds r0, #4
    adds r2, #4
    subs r1, #4
    b 2b
4:  mov r1, r5
    pop {r4, r5}
    pop {r3}
    mov lr, r3
done:                       @ r1: as above
    movs r0, #0
    str r0, [r1, #4]
    bx lr
    .ltorg
