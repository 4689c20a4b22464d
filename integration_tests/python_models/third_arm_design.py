def model(dbt, session):
    dbt.config(materialized="table", schema="studies")
    from estimators import design

    return design(
        "third_arm",
        dbt.config.meta_get("study"),
        units=dbt.ref("third_arm_units"),
        session=session,
        scores=dbt.ref("third_arm_scores"),
    )
