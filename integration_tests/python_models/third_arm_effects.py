def model(dbt, session):
    dbt.config(materialized="table", schema="studies")
    from estimators import estimate

    return estimate(
        "third_arm",
        dbt.config.meta_get("study"),
        units=dbt.ref("third_arm_units"),
        scores=dbt.ref("third_arm_scores"),
        gates=dbt.ref("third_arm_gates"),
        session=session,
    )
