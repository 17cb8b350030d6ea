from keras_l2o_commands.application import main

main()
